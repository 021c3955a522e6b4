"""Training of the networks that ship. ``python -m crayoncodec.training --help``; see docs/training.md."""
