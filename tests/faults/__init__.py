"""The fault harness (issue 6): what is killed, cut and delayed must neither lose nor invent a count."""

from pathlib import Path

_MEMORY = Path("/dev/shm")
MEMORY = str(_MEMORY) if _MEMORY.is_dir() else None
"""Where files need no disk: what dies here are processes, never the machine, so no test depends on what fsync does."""
