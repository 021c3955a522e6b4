"""The ``cray`` command: one module for each command or family. Options in, lines out."""
