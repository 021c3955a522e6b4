"""Every figure that README and docs state, measured: ``python -m benchmarks --help``."""
