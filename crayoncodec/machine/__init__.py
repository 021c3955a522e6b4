"""The machine: threads and processes."""
