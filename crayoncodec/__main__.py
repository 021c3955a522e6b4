"""``python -m crayoncodec`` is the ``cray`` command."""

from crayoncodec.cli import main

if __name__ == "__main__":
    main(prog_name="cray")
