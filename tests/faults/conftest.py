"""An in-process hospital for the tests that need another clock or another past, and small disks of their own."""

import os
import subprocess
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.faults import MEMORY
from tests.faults.site import Site
from tests.office import Office


@pytest.fixture
def memory() -> Iterator[Path]:
    """A directory that needs no disk."""
    with TemporaryDirectory(prefix="nhipso-faults-", dir=MEMORY) as directory:
        yield Path(directory)


@pytest.fixture
def office(memory: Path) -> Iterator[Office]:
    office = Office(f"sqlite:///{memory / 'store.sqlite'}", memory)
    yield office
    office.store.close()


@pytest.fixture
def site_since(memory: Path, office: Office) -> Iterator[Callable[[date], Site]]:
    """A hospital whose history begins a week before a day."""
    sites: list[Site] = []

    def make(today: date) -> Site:
        sites.append(Site(memory, office, today))
        return sites[-1]

    yield make
    for site in sites:
        site.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of four megabytes; needs root."""
    if os.geteuid() != 0:
        pytest.skip("mounting needs root")
    mount = tmp_path / "small"
    mount.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", mount], check=True)
    yield mount
    subprocess.run(["umount", "-l", mount], check=True)
