"""The agent in a hospital: polls sources, keeps the counts safe on disk, pushes them to the collector."""
