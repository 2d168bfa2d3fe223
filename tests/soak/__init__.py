"""A month in minutes: does a collector, or an agent, still take the memory and the disk that it took on the first day?

`make soak` runs a whole month, `make test` a short one. What is moved is the days in the figures, not the clock: every
poll, push, scrape, correction and night of a month happens, only one right after the other.
"""
