"""A province in a box: living source systems whose truth is known, for the demo, the tests and the benchmarks."""
