"""What a process takes."""

from pathlib import Path


def memory(pid: int | str = "self") -> int:
    """Bytes of memory that the process has in use (RSS)."""
    fields = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text("ascii").splitlines())
    return int(fields["VmRSS"].split()[0]) * 1024


def size(directory: Path) -> int:
    """Bytes of all files below it."""
    return sum(one.stat().st_size for one in directory.rglob("*") if one.is_file())
