"""How every folder kind reads: only files that are new or have changed, in steps, one bad file never stopping others.

A file is known by its size and modification time; the agent's memory says which were read before. What a file says is
asked of the kind. Names of files and folders may hold a patient's name: they are hidden by the memory and never shown.
"""

import errno
import fnmatch
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from io import FileIO
from pathlib import Path
from typing import BinaryIO, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from contract.adapter import Entry, FileSeen, Memory, Reading, SourceConfig
from contract.days import LOCAL
from contract.errors import ConfigError, SourceDeniedError, SourceError, SourceUnavailableError

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
# Windows: the file is open in a program that is writing it.
_SHARING_VIOLATIONS = (32, 33)


class FolderOptions(BaseModel):
    """The keys of a folder source beyond the common ones; a kind with more derives from it."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)

    folder: str = Field(min_length=1)
    pattern: str = Field(default="*.xml", min_length=1, pattern=r"^[^/\\]*$")


Options = TypeVar("Options", bound=BaseModel)

_SENTENCES = {
    "missing": "thiếu khóa bắt buộc này",
    "string_type": "phải là một chuỗi trong dấu ngoặc kép",
    "string_too_short": "không được để trống",
    "string_pattern_mismatch": "chỉ gồm mẫu tên tệp, không gồm thư mục",
}


def options_of(config: SourceConfig, model: type[Options]) -> Options:
    """The source's own options as `model`. Raises ConfigError with a sentence for each mistake."""
    try:
        return model.model_validate(dict(config.options))
    except ValidationError as error:
        unheard_of = f"không có khóa này; các khóa dùng được: {', '.join(model.model_fields)}"
        sentences = {**_SENTENCES, "extra_forbidden": unheard_of}
        raise ConfigError(
            f"{config.place}: {'.'.join(str(part) for part in one['loc'])}: "
            f"{sentences.get(one['type'], 'giá trị không hợp lệ')}"
            for one in error.errors()
        ) from None


@dataclass(slots=True)
class _Scan:
    """What one walk over the folder has met so far."""

    seen: set[bytes] = field(default_factory=set)
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

    def __init__(self, root: Path, pattern: str) -> None:
        """`pattern` is a shell pattern for file names, upper and lower case alike."""
        self.root = root
        self._matches = re.compile(fnmatch.translate(pattern.casefold())).match

    def probe(self) -> None:
        """List the folder, opening no file. Raises SourceUnavailableError or SourceDeniedError."""
        try:
            with os.scandir(self.root) as entries:
                next(entries, None)
        except OSError as error:
            raise self._closed_error(error) from None

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
            identity = f"{stat.st_size}-{stat.st_mtime_ns}"
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
        gone = [] if scan.closed else [hidden for hidden in known if hidden not in scan.seen]
        for start in range(0, len(gone), STEP_FILES):
            scan.reading.gone = gone[start : start + STEP_FILES]
            yield scan.hand_over()
        if not gone:
            yield scan.hand_over()

    def _entries(self, closed: list[str]) -> Iterator[tuple[str, os.stat_result]]:
        """Path and status of every file that matches; folders below the root that do not open are put in `closed`."""
        waiting, visited = [os.fspath(self.root)], set[tuple[int, int]]()
        while waiting:
            folder = waiting.pop()
            try:
                stat = os.stat(folder)  # noqa: PTH116 (as fast as it can be: there may be many)
                # Windows junctions are no links to Python, and may lead back up.
                if (stat.st_dev, stat.st_ino) in visited and stat.st_ino:
                    continue
                visited.add((stat.st_dev, stat.st_ino))
                with os.scandir(folder) as entries:
                    yield from self._matching(entries, waiting)
            except OSError as error:
                if folder == os.fspath(self.root):
                    raise self._closed_error(error) from None
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
            if not self._is_closed(error, before):
                return None
            return FileSeen(hidden, _CLOSED + identity, (), _NOT_OPENED)
        if stat.st_size != after.st_size or stat.st_mtime_ns != after.st_mtime_ns:
            return None
        return FileSeen(hidden, identity, entries, problem and f"{problem} ({_about(stat)})")

    def _is_closed(self, error: OSError, before: str | None) -> bool:
        """Whether to name a file that did not open; what it said `before` goes on counting until it can be read."""
        if not isinstance(error, PermissionError):
            self.probe()
        return before is None and getattr(error, "winerror", None) not in _SHARING_VIOLATIONS

    def _hide(self, memory: Memory, path: str) -> bytes:
        name = path[len(os.fspath(self.root)) :]
        # A name on Linux may be bytes that are not UTF-8; Latin-1 keeps each byte apart and is always text.
        return memory.hide(name if name.isascii() else os.fsencode(name).decode("latin-1"))

    def _closed_error(self, error: OSError) -> SourceError:
        if isinstance(error, PermissionError):
            return SourceDeniedError(f"tài khoản chạy nhipso-agent không được đọc thư mục {self.root}")
        if isinstance(error, FileNotFoundError):
            return SourceUnavailableError(f"không thấy thư mục {self.root}: sai đường dẫn, hoặc ổ mạng chưa kết nối")
        if isinstance(error, NotADirectoryError):
            return SourceUnavailableError(f"{self.root} không phải là thư mục")
        return SourceUnavailableError(f"không đọc được thư mục {self.root}: ổ đĩa hoặc mạng có lỗi")


def _said(stream: BinaryIO, stat: os.stat_result, read_file: ReadFile) -> tuple[tuple[Entry, ...], str | None]:
    if stat.st_size > LARGEST_BYTES:
        return (), f"tệp lớn hơn {LARGEST_BYTES // 1024**2} MB, không đọc"
    try:
        entries, problem = read_file(stream, stat.st_mtime_ns)
        return tuple(entries), problem
    except SourceError as error:
        return (), str(error)
    except OSError:
        raise
    except Exception as error:
        # A slip of ours on one strange file must cost that file, not the source; its text may quote the file.
        return (), f"lỗi của chương trình khi đọc tệp ({type(error).__name__}): xin báo cho người phát triển"


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
