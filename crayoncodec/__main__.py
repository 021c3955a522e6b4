"""``python -m crayoncodec`` is the ``cray`` command."""

import sys


def main() -> None:
    """The command, whose end by Ctrl-C is quiet while it is still being loaded, too."""
    try:
        from crayoncodec.commands.cray import main as cray
    except KeyboardInterrupt:
        if sys.stderr is not None:
            sys.stderr.write("cray: interrupted\n")
        sys.exit(130)
    cray(prog_name="cray")


if __name__ == "__main__":
    main()
