"""Training: ``cray train``, ``cray eval`` and ``cray export``; see docs/training.md."""
