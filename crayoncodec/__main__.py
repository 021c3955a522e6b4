"""``python -m crayoncodec`` is the ``cray`` command."""

import os
import sys


def main() -> None:
    """The command, whose end by Ctrl-C is quiet while it is still being loaded, too."""
    # Matrices are multiplied in threads of ours: those that OpenBLAS starts as it is loaded would only wait.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        from crayoncodec.commands.cray import main as cray
    except KeyboardInterrupt:
        if sys.stderr is not None:
            sys.stderr.write("cray: interrupted\n")
        sys.exit(130)
    cray(prog_name="cray")


if __name__ == "__main__":
    main()
