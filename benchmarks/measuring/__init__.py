"""What all suites measure on, with and into: pictures, errors, seconds and memory, and results."""
