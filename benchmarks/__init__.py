"""One program a claim: `python -m benchmarks.NAME` prints our figure and the peer's, measured in the same run."""
