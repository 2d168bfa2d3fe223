"""Kind `sheet.file`: CSV and XLSX files that a person keeps, for any measure and several facilities.

What a file says of a day, a facility and a measure replaces what an older file said of them: a copy, or a corrected
version under another name, does not count twice. Within one file lines add up.
"""

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from functools import partial
from glob import escape
from pathlib import Path
from typing import BinaryIO, Literal

from pydantic import BaseModel, ConfigDict, Field

from adapters.folder import Folder
from adapters.options import options_of
from contract import __version__
from contract.adapter import Adapter, Entry, Memory, Reading, SourceConfig
from contract.catalogue import Cadence, Catalogue
from contract.days import DayRange, now
from contract.errors import ConfigError, SourceUnavailableError
from contract.sheets import reading
from contract.sheets.cells import plain
from contract.sheets.table import Findings, Words

# .csv .xlsx .xlsm, and .xls .xlsb, which are only named as not readable
PATTERN = "*.[cx][sl]*"


class Options(BaseModel):
    """The keys of a `sheet.file` source beyond the common ones."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)

    file: str | None = Field(default=None, min_length=1)
    folder: str | None = Field(default=None, min_length=1)
    pattern: str = Field(default=PATTERN, min_length=1, pattern=r"^[^/\\]*$")
    measure: str | None = None
    categories: dict[str, str] = {}
    columns: dict[Literal["day", "facility", "measure", "category", "count"], str] = {}


def adapter(config: SourceConfig, catalogue: Catalogue) -> Adapter:
    """Read the file or folder that `config` names. Raises ConfigError with every problem of its table."""
    options = options_of(config, Options)
    problems = [f"{config.place}: {problem}" for problem in _contradictions(config, options, catalogue)]
    if problems:
        raise ConfigError(problems)
    return SheetFolder(config, options, catalogue)


def _contradictions(config: SourceConfig, options: Options, catalogue: Catalogue) -> Iterator[str]:
    if (options.file is None) == (options.folder is None):
        yield "cần đúng một trong hai khóa file, folder"
    asked = _asked(config, options)
    if not asked:
        yield "cần khóa measure (một số đếm) hoặc measures (nhiều số đếm)"
    if options.measure and config.measures and tuple(config.measures) != (options.measure,):
        yield "measure và measures nói khác nhau: chỉ dùng một khóa"
    yield from (f"measure: danh mục không có “{one}”" for one in asked if one not in catalogue.measures)
    known = {code for one in asked if one in catalogue.measures for code in catalogue.measures[one].codes}
    yield from (
        f"categories: “{code}” không phải là category của {', '.join(asked)}"
        for code in dict.fromkeys(options.categories.values())
        if code not in known
    )
    names = [plain(name) for name in config.facility_map]
    yield from (
        f"facilities: “{name}” có hai lần (không phân biệt dấu, chữ hoa, chữ thường)"
        for name in config.facility_map
        if names.count(plain(name)) > 1
    )


def _asked(config: SourceConfig, options: Options) -> tuple[str, ...]:
    return tuple(config.measures or ([options.measure] if options.measure else []))


class _OneFolder(Folder):
    """Only what lies in the folder itself: a single file is looked for nowhere else."""

    def _matching(
        self, entries: Iterator[os.DirEntry[str]], waiting: list[str]
    ) -> Iterator[tuple[str, os.stat_result]]:
        return super()._matching(entries, [])


class SheetFolder:
    """Counts what sheets say. A day that no sheet names gets no row: nobody may have filled it in yet."""

    def __init__(self, config: SourceConfig, options: Options, catalogue: Catalogue) -> None:
        """`config` and `options` are without contradictions."""
        self._config = config
        self._options = options
        self._catalogue = catalogue
        # Made absolute without asking the disk: it may be a share that hangs.
        path = Path(os.path.abspath(config.directory / (options.file or str(options.folder))))  # noqa: PTH100
        self._path = path
        folder, pattern = (Folder, options.pattern) if options.folder else (_OneFolder, escape(path.name))
        self._folder = folder(path if options.folder else path.parent, pattern, reading=self._definition())

    @property
    def measures(self) -> tuple[str, ...]:
        """Those asked for."""
        return _asked(self._config, self._options)

    @property
    def identity(self) -> str:
        """Kind and absolute path."""
        return f"{self._config.kind} {self._path}"

    @property
    def silence_is_zero(self) -> bool:
        """A day without a line was perhaps not filled in yet."""
        return False

    def explain(self, measure: str) -> str:
        """Where the sheets lie, how they are read, and which words mean which category, in Vietnamese."""
        meaning = self._catalogue.measures[measure]
        names = "\n".join(f"  {one.vi} → {code}" for code, one in meaning.categories.items())
        own = "".join(f"\n  {raw} → {code}" for raw, code in self._options.categories.items() if code in meaning.codes)
        pairs = ", ".join(f"{raw} → {facility}" for raw, facility in self._config.facility_map.items())
        serves = self._config.serves
        alone = f"mọi dòng thuộc {serves[0]}" if len(serves) == 1 else f"cột Cơ sở ghi mã: {', '.join(serves)}"
        where = f"tệp {self._path}" if self._options.file else f"thư mục {self._path}, tệp {self._options.pattern}"
        return _EXPLANATION.format(
            vi=meaning.vi,
            measure=measure,
            meaning=meaning.meaning_vi.strip(),
            day=meaning.day_vi,
            where=where,
            cadence=_CADENCES[self._config.cadence or meaning.cadence],
            names=names + own,
            facility=f"cột Cơ sở: {pairs}" if pairs else alone,
        )

    def probe(self) -> None:
        """List the folder, opening no file. Raises SourceError."""
        self._folder.probe()
        if self._options.file and not self._path.is_file():
            raise SourceUnavailableError(f"không thấy tệp {self._path}: sai tên, hoặc đã bị đổi tên, dời đi")

    def read(self, days: DayRange, measures: tuple[str, ...], memory: Memory) -> Iterator[Reading]:
        """Read new and changed files whole, whatever their days. Raises SourceError."""
        if not set(measures) & set(self.measures):
            return
        self.probe()
        words = self._words(now().date())
        yield from self._folder.read(memory, partial(self._file, memory.hide, words))

    def _file(
        self, hide: Callable[[str], bytes], words: Words, stream: BinaryIO, mtime_ns: int
    ) -> tuple[list[Entry], str | None]:
        if Path(stream.name).name.startswith("~$"):
            return [], None  # Excel's mark beside a workbook that somebody has open
        findings = reading.read(stream, words)
        return list(self._entries(hide, findings, f"{max(mtime_ns, 0):020d}", words.today)), findings.problem

    def _entries(self, hide: Callable[[str], bytes], findings: Findings, rank: str, today: date) -> Iterator[Entry]:
        for (measure, facility, period), counts in findings.counts.items():
            day = period.counted_on(today)
            for code in sorted(self._catalogue.measures[measure].codes):
                # Zeros too: the newest file decides the day whole, and a day with only zeros is one without a case.
                case = hide(f"{measure}|{facility}|{period.unit}|{period.last}|{code}")
                yield Entry(measure, case, rank, code, facility, day, counts[code])

    def _words(self, today: date) -> Words:
        every, serves = self._catalogue.measures, self._config.serves
        return reading.words(
            self._catalogue,
            {code: self._config.cadence or every[code].cadence for code in self.measures},
            self._config.facility_map or {one: one for one in serves},
            serves[0] if len(serves) == 1 else None,
            today,
            categories=self._options.categories,
            columns={name: role for role, name in self._options.columns.items()},
        )

    def _definition(self) -> str:
        """Changes with all that decides what a file says: then every file is read again."""
        definitions = [self._catalogue.measures[measure].model_dump_json() for measure in self.measures]
        parts = (__version__, self._options, sorted(self._config.facility_map.items()), self._config.serves)
        return hashlib.sha256(repr((*parts, definitions)).encode()).hexdigest()[:12]


_CADENCES: Mapping[Cadence, str] = {
    "daily": "mỗi ngày một dòng",
    "working": "mỗi ngày làm việc một dòng",
    "monthly": "mỗi tháng một dòng (10/2026, Tháng 10/2026) hoặc từng ngày",
    "quarterly": "mỗi quý một dòng (Quý IV/2026), hoặc từng tháng, từng ngày",
    "yearly": "mỗi năm một dòng (2026, Năm 2026), hoặc từng quý, tháng, ngày",
}

_EXPLANATION = """\
{vi} ({measure}): {meaning}
Ngày tính theo: {day}.
Đọc từ {where}: bảng tính do người phụ trách tự ghi, không đối chiếu được với hệ thống nào.
Kỳ ghi: {cadence}. Một tháng, quý, năm được tính vào ngày cuối kỳ; kỳ đang chạy tính vào ngày đọc.
Mỗi dòng là một ngày và một cơ sở, mỗi loại một cột; hoặc mỗi dòng thêm một loại và số lượng. Trong một tệp, các dòng
cùng ngày, cùng cơ sở được cộng lại. Nhiều tệp cùng nói về một ngày của một cơ sở: chỉ lấy tệp sửa sau cùng.
Tên cột hoặc giá trị của cột Loại (không phân biệt hoa thường, có dấu hay không):
{names}
  giá trị khác ở cột Loại → unknown (chưa phân loại)
Cơ sở: {facility}.
Bỏ qua: dòng trống, dòng Tổng cộng, dòng ví dụ. Dòng sai được nêu số dòng và lý do trong status, các dòng khác vẫn tính.
"""
