"""How every folder kind reads: only files that are new or have changed, in steps, one bad file never stopping others.

A file is known by its size and modification time; the agent's memory says which were read before. What a file says is
asked of the kind. Names of files and folders may hold a patient's name: they are hidden by the memory and never shown.
"""

import errno
import fnmatch
import os
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from io import FileIO
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO

from pydantic import BaseModel, ConfigDict, Field

from contract.adapter import Entry, FileSeen, Memory, Reading
from contract.days import LOCAL
from contract.errors import SourceDeniedError, SourceError, SourceUnavailableError

ReadFile = Callable[[BinaryIO, int], tuple[Iterable[Entry], str | None]]
"""Given an open, unbuffered file (its `name` is the path) and its modification time (ns since 1970): all that it says,
and our own sentence on what of it could not be read. Raises SourceChangedError for a file unreadable as a whole."""

STEP_FILES = 500
STEP_SECONDS = 2.0
# A file this young may still be being written, and a second write within the clock's grain would look like the first.
SETTLED_NS = 2_000_000_000
# Before a file that takes long, what was read so far is handed over.
LARGE_BYTES = 16 * 1024 * 1024
LARGEST_BYTES = 512 * 1024 * 1024

# Begins the identity of what could not be opened: never equal to a file's, so it is tried again at every poll.
_CLOSED = "?"
_NOT_OPENED = "một tệp không mở được: tài khoản chạy nhipso-agent cần quyền đọc, hoặc ổ đĩa có lỗi"
_FOLDER_NOT_OPENED = "một thư mục con không mở được; các tệp trong đó chưa được đọc"
_NO_PARTS: Mapping[Path, str] = MappingProxyType({})
# Windows: the file is open in a program that is writing it.
_SHARING_VIOLATIONS = (32, 33)


class FolderOptions(BaseModel):
    """The keys of a folder source beyond the common ones; a kind with more derives from it."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)

    folder: str = Field(min_length=1)
    pattern: str = Field(default="*.xml", min_length=1, pattern=r"^[^/\\]*$")


class Remarks:
    """What is to be said of the cases in one file, by their place in it: of many alike, the first few are shown."""

    _MOST = 5

    def __init__(self, noun: str) -> None:
        """`noun`: what a case is called, “hóa đơn”."""
        self._noun = noun
        self._places: dict[str, list[int]] = {}
        self._counts: Counter[str] = Counter()
        self._whole: list[str] = []

    def add(self, remark: str, place: int) -> None:
        """Of the case at `place`, counted from 1."""
        self._counts[remark] += 1
        shown = self._places.setdefault(remark, [])
        if len(shown) < self._MOST:
            shown.append(place)

    def add_of_file(self, remark: str) -> None:
        """Of the file as a whole."""
        self._whole.append(remark)

    def sentence(self) -> str | None:
        """All of it; None where there is nothing to say."""
        parts = list(self._whole)
        for remark, places in list(self._places.items())[: self._MOST]:
            count = self._counts[remark]
            shown = ", ".join(str(place) for place in places) + (", …" if count > len(places) else "")
            parts.append(f"{count} {self._noun} (thứ {shown} trong tệp) {remark}")
        if len(self._places) > self._MOST:
            parts.append(f"và {len(self._places) - self._MOST} lý do khác")
        return "; ".join(parts) or None


@dataclass(slots=True)
class _Scan:
    """What one walk over the folder has met so far."""

    seen: set[bytes] = field(default_factory=set)
    parts: set[str] = field(default_factory=set)
    closed: list[str] = field(default_factory=list)
    reading: Reading = field(default_factory=Reading)
    since: float = field(default_factory=time.monotonic)

    def is_full(self) -> bool:
        return len(self.reading.files) >= STEP_FILES or time.monotonic() - self.since >= STEP_SECONDS

    def hand_over(self) -> Reading:
        reading, now = self.reading, time.monotonic()
        reading.seconds["folder"] = now - self.since
        self.reading, self.since = Reading(), now
        return reading


class Folder:
    """A folder and all below it, without following links to folders and without names that begin with a dot."""

    def __init__(self, root: Path, pattern: str, parts: Mapping[Path, str] = _NO_PARTS, reading: str = "") -> None:
        """`pattern` is a shell pattern for file names, upper and lower case alike.

        `parts`: folders, below the root or elsewhere, → the word by which the kind tells their files apart. They are
        read after the root, in this order: list them in the order in which files move through them, and a file that
        moves during a read is met twice rather than not at all.
        `reading`: what else of the configuration decides what a file says; when it changes, all files are read again.
        """
        self.root = root
        self._matches = re.compile(fnmatch.translate(pattern.casefold())).match
        self._words = {os.fspath(path): word for path, word in parts.items()}
        self._tops = list(dict.fromkeys([os.fspath(root), *self._words]))
        # The deepest first: of two parts that lie in each other the inner one decides.
        self._deepest = sorted(((_below(top), word) for top, word in self._words.items()), key=lambda p: -len(p[0]))
        self._inside = _below(os.fspath(root))
        self._elsewhere = {word for top, word in self._words.items() if not _below(top).startswith(self._inside)}
        self._reading = reading

    def part_of(self, path: str) -> str:
        """The word of the part in which the file lies; '' outside all of them."""
        for top, word in self._deepest:
            if path.startswith(top):
                return word
        return ""

    def probe(self) -> None:
        """List the folder and its parts, opening no file. Raises SourceUnavailableError or SourceDeniedError."""
        for top in self._tops:
            try:
                with os.scandir(top) as entries:
                    next(entries, None)
            except OSError as error:
                raise _closed_error(top, error) from None

    def read(self, memory: Memory, read_file: ReadFile) -> Iterator[Reading]:
        """Read every file that is new or changed since `memory`; steps of at most some 500 files or 2 seconds of work.

        A file still being written is left for the next poll. A step may be empty: it says that work goes on.
        Raises SourceError when the folder cannot be listed, or is empty although files are known of it.
        """
        known = memory.files()
        scan = _Scan()
        for path, stat in self._entries(scan.closed):
            hidden = self._hide(memory, path)
            scan.seen.add(hidden)
            identity = self._identity(path, stat, scan)
            before = known.get(hidden)
            if before != identity:
                if stat.st_size > LARGE_BYTES:
                    yield scan.hand_over()
                if file := self._file(path, hidden, identity, before, read_file):
                    scan.reading.files.append(file)
            if scan.is_full():
                yield scan.hand_over()
        yield from self._ending(memory, known, scan)

    def _ending(self, memory: Memory, known: Mapping[bytes, str], scan: _Scan) -> Iterator[Reading]:
        if not scan.seen and any(not identity.startswith(_CLOSED) for identity in known.values()):
            if scan.closed:
                raise SourceDeniedError(f"không mở được thư mục con nào của {self.root}")
            raise SourceUnavailableError(
                f"thư mục {self.root} không còn tệp nào, trong khi trước đây đã đọc được: ổ mạng có thể chưa kết nối"
            )
        for path in scan.closed:
            hidden = self._hide(memory, path)
            scan.seen.add(hidden)
            if known.get(hidden) != _CLOSED:
                scan.reading.files.append(FileSeen(hidden, _CLOSED, (), _FOLDER_NOT_OPENED))
        # Files of a subfolder that did not open are not gone, and nothing tells which of the hidden paths they are.
        # A part elsewhere that is suddenly empty may be a share that is not mounted.
        away = tuple(f"-{word}" for word in self._elsewhere - scan.parts)
        gone = [
            hidden
            for hidden, identity in known.items()
            if hidden not in scan.seen and not scan.closed and not identity.endswith(away)
        ]
        for start in range(0, len(gone), STEP_FILES):
            scan.reading.gone = gone[start : start + STEP_FILES]
            yield scan.hand_over()
        if not gone:
            yield scan.hand_over()

    def _entries(self, closed: list[str]) -> Iterator[tuple[str, os.stat_result]]:
        """Path and status of every file that matches; folders below the root that do not open are put in `closed`."""
        self.probe()
        # Windows junctions are no links to Python and may lead back up; a part may be met by another spelling.
        visited = {place for top in self._tops if (place := _place(top))}
        for top in self._tops:
            waiting = [top]
            while waiting:
                folder = waiting.pop()
                try:
                    place = _place(folder)
                    if folder != top and (place in visited or folder in self._words):
                        continue
                    if place:
                        visited.add(place)
                    with os.scandir(folder) as entries:
                        yield from self._matching(entries, waiting)
                except OSError as error:
                    if folder == top:
                        raise _closed_error(top, error) from None
                    if not isinstance(error, FileNotFoundError):
                        closed.append(folder)

    def _matching(
        self, entries: Iterator[os.DirEntry[str]], waiting: list[str]
    ) -> Iterator[tuple[str, os.stat_result]]:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir(follow_symlinks=False):
                waiting.append(entry.path)
            elif self._matches(entry.name.casefold()) and (stat := _status(entry)):
                yield entry.path, stat

    def _file(
        self, path: str, hidden: bytes, identity: str, before: str | None, read_file: ReadFile
    ) -> FileSeen | None:
        """Read one file; None when it should be left for the next poll (young, changing, vanished, locked)."""
        try:
            with FileIO(path) as stream:
                stat = os.fstat(stream.fileno())
                if abs(time.time_ns() - stat.st_mtime_ns) < SETTLED_NS:
                    return None
                entries, problem = _said(stream, stat, read_file)
                after = os.fstat(stream.fileno())
        except FileNotFoundError:
            return None
        except OSError as error:
            if not self._is_closed(error) or before == _CLOSED + identity:
                return None
            return FileSeen(hidden, _CLOSED + identity, None, _NOT_OPENED)
        if stat.st_size != after.st_size or stat.st_mtime_ns != after.st_mtime_ns:
            return None
        return FileSeen(hidden, identity, entries, problem and f"{problem} ({_about(stat)})")

    def _is_closed(self, error: OSError) -> bool:
        """Whether the file itself does not open: not the whole folder, and not a program that is writing it."""
        if not isinstance(error, PermissionError):
            self.probe()
        return getattr(error, "winerror", None) not in _SHARING_VIOLATIONS

    def _identity(self, path: str, stat: os.stat_result, scan: _Scan) -> str:
        part = self.part_of(path)
        scan.parts.add(part)
        marks = f"-{self._reading}-{part}" if self._reading or self._words else ""
        return f"{stat.st_size}-{stat.st_mtime_ns}{marks}"

    def _hide(self, memory: Memory, path: str) -> bytes:
        name = path[len(self._inside) - 1 :] if path.startswith(self._inside) else path
        # A name on Linux may be bytes that are not UTF-8; Latin-1 keeps each byte apart and is always text.
        return memory.hide(name if name.isascii() else os.fsencode(name).decode("latin-1"))


def _below(folder: str) -> str:
    """How the path of everything in `folder` begins."""
    return folder.rstrip(os.sep) + os.sep


def _place(folder: str) -> tuple[int, int] | None:
    """What the folder is, however it was reached; None where the disk does not number its folders."""
    stat = os.stat(folder)  # noqa: PTH116 (as fast as it can be: there may be many)
    return (stat.st_dev, stat.st_ino) if stat.st_ino else None


def _closed_error(folder: str, error: OSError) -> SourceError:
    if isinstance(error, PermissionError):
        return SourceDeniedError(f"tài khoản chạy nhipso-agent không được đọc thư mục {folder}")
    if isinstance(error, FileNotFoundError):
        return SourceUnavailableError(f"không thấy thư mục {folder}: sai đường dẫn, hoặc ổ mạng chưa kết nối")
    if isinstance(error, NotADirectoryError):
        return SourceUnavailableError(f"{folder} không phải là thư mục")
    return SourceUnavailableError(f"không đọc được thư mục {folder}: ổ đĩa hoặc mạng có lỗi")


def _said(stream: BinaryIO, stat: os.stat_result, read_file: ReadFile) -> tuple[tuple[Entry, ...] | None, str | None]:
    """What the file says; None for one that cannot be read as a whole, so that what it said before stands."""
    if stat.st_size > LARGEST_BYTES:
        return None, f"tệp lớn hơn {LARGEST_BYTES // 1024**2} MB, không đọc"
    try:
        entries, problem = read_file(stream, stat.st_mtime_ns)
        return tuple(entries), problem
    except SourceError as error:
        return None, str(error)
    except OSError:
        raise
    except Exception as error:
        # A slip of ours on one strange file must cost that file, not the source; its text may quote the file.
        return None, f"lỗi của chương trình khi đọc tệp ({type(error).__name__}): xin báo cho người phát triển"


def _status(entry: os.DirEntry[str]) -> os.stat_result | None:
    """The status of what is (or links to) a file, else None: a folder link, a pipe, a broken or circular link."""
    try:
        return entry.stat() if entry.is_file() else None
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno == errno.ELOOP:
            return None
        raise


def _about(stat: os.stat_result) -> str:
    """How IT can find the file without its name being told."""
    try:
        moment = f"{datetime.fromtimestamp(stat.st_mtime, LOCAL):%d/%m/%Y %H:%M}"
    except (OverflowError, ValueError, OSError):
        moment = "không rõ lúc nào"
    return f"tệp {stat.st_size:_} byte".replace("_", ".") + f", sửa lúc {moment}"
