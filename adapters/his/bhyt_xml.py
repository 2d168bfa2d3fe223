"""Kind `his.bhyt_xml`: folders of insurance claim files (QĐ 4210, 130, 4750, 3176) and of check-in files.

It counts `visits`, `claims` and `health_records`; how, says indicators.md, "Definitions by source".
What of a file is looked at is said in `adapters.his.bhyt_envelope`.
"""

import os
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime, timedelta
from functools import lru_cache, partial
from hashlib import blake2b
from pathlib import Path
from typing import BinaryIO, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from adapters.folder import Folder, FolderOptions, Remarks
from adapters.his.bhyt_envelope import Header, Record, cases, header, records
from adapters.options import options_of
from contract.adapter import Adapter, Entry, Memory, Reading, SourceConfig
from contract.catalogue import UNKNOWN, Catalogue
from contract.days import LOCAL, DayRange, now
from contract.errors import ConfigError, SourceChangedError
from contract.tally import FIRST_DAY
from contract.xml import Element

MEASURES = ("visits", "claims", "health_records")

# In the order in which a file moves on; later in it wins where two copies are equally new.
STATES = ("unsent", "sent", "rejected", "accepted")
_PRECEDENCE = {state: place for place, state in enumerate(("", *STATES))}
# A change of how a file is understood: raised by one, it makes every agent read its files again.
_READING = 1

_FORMS = {
    **dict.fromkeys(("01", "02", "05", "07", "08", "1", "2"), "outpatient"),
    **dict.fromkeys(("03", "09", "3"), "inpatient"),
    "04": "day_treatment",
    **dict.fromkeys(("06", "10", "11", "12", "13", "14", "15", "16"), "other"),
}
# Files of this kind began with QĐ 4210; an earlier day is a date in another form.
_FIRST_FILES = date(2017, 1, 1)
_WITHDRAWN, _NOT_INSURED = "8", "9"

_A_FORM = re.compile(r"[0-9]{1,2}")
_A_FACILITY = re.compile(r"[0-9]{2}[0-9A-Z]{3}")
_A_TIME = re.compile(r"[0-9]{8}(?:[0-9]{2}){0,3}")


class StateFolders(BaseModel):
    """`[sources.NAME.folders]`: where files of each state lie."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)

    unsent: str | None = Field(default=None, min_length=1)
    sent: str | None = Field(default=None, min_length=1)
    rejected: str | None = Field(default=None, min_length=1)
    accepted: str | None = Field(default=None, min_length=1)


class ClaimOptions(FolderOptions):
    """The keys of this kind beyond the common ones."""

    folders: StateFolders = StateFolders()


class _File(NamedTuple):
    """What is known of a file before its cases; the last two follow from its envelope."""

    state: str
    mtime_ns: int
    latest: date
    """A day after this one is a slip."""
    sender: str = ""
    """MACSKCB."""
    made: str = ""
    """yyyyMMdd."""


def adapter(config: SourceConfig, catalogue: Catalogue) -> Adapter:
    """Read the folders that `config` names. Raises ConfigError with every problem of its table."""
    problems = list(_contradictions(config, catalogue))
    try:
        options = options_of(config, ClaimOptions)
        parts = _parts(config, options)
    except ConfigError as error:
        raise ConfigError([*error.problems, *problems]) from None
    if problems:
        raise ConfigError(problems)
    return ClaimFolders(config, options, parts)


def _contradictions(config: SourceConfig, catalogue: Catalogue) -> Iterator[str]:
    for measure in config.measures or ():
        if measure not in MEASURES:
            yield f"{config.place}: measures: {config.kind} không đếm “{measure}”, chỉ đếm: {', '.join(MEASURES)}"
    for measure in config.measures or MEASURES:
        if measure in MEASURES and measure not in catalogue.measures:
            yield f"{config.place}: danh mục số đếm đang dùng không có “{measure}”"
    if not config.facility_map and len(config.facilities) != 1:
        yield (
            f"{config.place}: agent phục vụ nhiều cơ sở: cần bảng [sources.{config.name}.facilities], "
            "mỗi dòng: MA_CSKCB = mã cơ sở"
        )


def _absolute(*parts: str | Path) -> Path:
    # Without asking the disk: the folder may lie on a share that hangs.
    return Path(os.path.abspath(os.path.join(*parts)))  # noqa: PTH100, PTH118


def _parts(config: SourceConfig, options: ClaimOptions) -> dict[Path, str]:
    """Folder → state, in the order in which files move. Raises ConfigError."""
    parts: dict[Path, str] = {}
    problems = []
    for state in STATES:
        if (named := getattr(options.folders, state)) is None:
            continue
        path = _absolute(config.directory, options.folder, named)
        if path in parts:
            problems.append(f"{config.place}: folders.{state}: trùng thư mục với folders.{parts[path]}")
        parts[path] = state
    if problems:
        raise ConfigError(problems)
    return parts


class ClaimFolders:
    """Counts the visits in a folder of claim files. A day without a visit gets no row: silence is not a zero."""

    def __init__(self, config: SourceConfig, options: ClaimOptions, parts: Mapping[Path, str]) -> None:
        self._config = config
        self._options = options
        self._parts = parts
        root = _absolute(config.directory, options.folder)
        decides = repr((_READING, sorted(config.facility_map.items()), config.facilities, sorted(self.measures)))
        reading = blake2b(decides.encode(), digest_size=4).hexdigest()
        self._folder = Folder(root, options.pattern, parts, reading)

    @property
    def measures(self) -> tuple[str, ...]:
        """Those asked for."""
        return self._config.measures or MEASURES

    @property
    def identity(self) -> str:
        """Kind and absolute path of the main folder: naming the folders of states later is no other system."""
        return f"{self._config.kind} {self._folder.root}"

    @property
    def silence_is_zero(self) -> bool:
        """A day of which the folders hold no visit may just not have been exported yet."""
        return False

    def explain(self, measure: str) -> str:
        """Folders, states, categories, key and facility, in Vietnamese."""
        if measure not in self.measures:
            return f"Nguồn {self._config.place} không đếm “{measure}”."
        rows = (f"MA_CSKCB {code} → cơ sở {facility}" for code, facility in self._config.facility_map.items())
        folders = "\n".join(f"  {state:9} {path}" for path, state in self._parts.items())
        return _EXPLANATION.format(
            folder=self._folder.root,
            pattern=self._options.pattern,
            measure=_OF_VISITS if measure == "visits" else _OF_STATES.format(subject=_SUBJECTS[measure]),
            folders="" if measure == "visits" else f"{_FOLDERS}\n{folders}\n" if folders else _NO_FOLDERS,
            facility="; ".join(rows) or f"mọi lượt thuộc cơ sở {self._config.facilities[0]}",
            stranger=" MA_CSKCB khác: không tính, nêu trong status." if self._config.facility_map else "",
        )

    def probe(self) -> None:
        """List the folders. Raises SourceError."""
        self._folder.probe()

    def read(self, days: DayRange, measures: tuple[str, ...], memory: Memory) -> Iterator[Reading]:
        """Read new and changed files, whatever their days and for all measures of the source. Raises SourceError."""
        if set(measures) & set(self.measures):
            tomorrow = now().date() + timedelta(days=1)
            yield from self._folder.read(memory, partial(self._file, memory.hide, tomorrow))

    def _file(
        self, hide: Callable[[str], bytes], latest: date, stream: BinaryIO, mtime_ns: int
    ) -> tuple[list[Entry], str | None]:
        file = _File(self._folder.part_of(str(stream.name)), max(mtime_ns, 0), latest)
        entries: list[Entry] = []
        remarks = Remarks("hồ sơ")
        around, place = Header("", "", ""), 0
        try:
            for case in cases(stream):
                place += 1
                if place == 1:
                    around = header(case)
                    file = file._replace(sender=around.facility, made=_made(around, file, remarks))
                entries += self._entries(case, place, hide, file, remarks)
        except SourceChangedError as error:
            # What was complete before the file breaks off counts.
            if place == 0:
                raise
            remarks.add_of_file(f"chỉ đọc được {place} hồ sơ đầu, sau đó {error}")
        else:
            _compare_number(around, place, remarks)
        return entries, remarks.sentence()

    def _entries(
        self, case: Element, place: int, hide: Callable[[str], bytes], file: _File, remarks: Remarks
    ) -> Iterator[Entry]:
        wanted = self.measures
        order = f"{file.mtime_ns:020d}{_PRECEDENCE[file.state]}{place:08d}"
        try:
            for record in records(case):
                code = record.facility or file.sender
                facility = self._facility_of(code)
                hidden = hide(f"{code}|{record.visit}")
                # Any XML1 outranks every check-in of the visit; a check-in file does not say when it was made.
                rank = f"0{order}" if record.is_checkin else f"1{file.made}{order}"
                for measure, category, day in _said(record, file, place, remarks):
                    if measure in wanted:
                        yield Entry(measure, hidden, rank, category, facility, day)
        except SourceChangedError as error:
            remarks.add(f"không tính vì {error}", place)

    def _facility_of(self, code: str) -> str:
        if not code:
            raise SourceChangedError("thiếu MA_CSKCB")
        if not self._config.facility_map:
            return self._config.facilities[0]
        if facility := self._config.facility_map.get(code):
            return facility
        shown = code if _A_FACILITY.fullmatch(code) else "(không phải là mã cơ sở)"
        raise SourceChangedError(f"MA_CSKCB {shown} không có trong bảng [sources.{self._config.name}.facilities]")


def _said(record: Record, file: _File, place: int, remarks: Remarks) -> Iterator[tuple[str, str | None, date | None]]:
    """What a record says of each measure: the category (None: it does not count there) and the day."""
    arrived = _day(record.arrived, FIRST_DAY, file.latest)
    form = _FORMS.get(record.form, UNKNOWN)
    if arrived is None:
        remarks.add(f"chưa có ngày cho visits: NGAY_VAO {_AMISS}", place)
    if form == UNKNOWN:
        shown = record.form if _A_FORM.fullmatch(record.form) else "trống hoặc không phải mã"
        remarks.add(f"có tính, nhưng chưa rõ loại: MA_LOAI_KCB {shown}", place)
    yield "visits", form, arrived
    if record.is_checkin:
        return
    left = _day(record.left, FIRST_DAY, file.latest)
    if left is None:
        remarks.add(f"chưa có ngày cho claims, health_records: NGAY_RA {_AMISS}", place)
    state = file.state or UNKNOWN
    yield "claims", None if record.subject in (_WITHDRAWN, _NOT_INSURED) else state, left
    yield "health_records", None if record.subject == _WITHDRAWN else state, left


_AMISS = "trống, không có dạng yyyyMMddHHmm, trước năm 2020 hoặc sau ngày mai"


def _made(around: Header, file: _File, remarks: Remarks) -> str:
    """When the file says that it was made, yyyyMMdd; by its modification time where it does not say."""
    if _day(around.made, _FIRST_FILES, file.latest):
        return around.made[:8]
    if around != Header("", "", ""):
        remarks.add_of_file("NGAYLAP trống, sai dạng hoặc sau ngày mai: lấy ngày sửa tệp để biết bản nào mới hơn")
    made = min(datetime.fromtimestamp(file.mtime_ns // 10**9, LOCAL).date(), file.latest)
    return made.isoformat().replace("-", "")


def _compare_number(around: Header, place: int, remarks: Remarks) -> None:
    stated = around.cases
    if stated and not (stated.isascii() and stated.isdigit() and len(stated) < 9 and int(stated) == place):
        said = f"là {int(stated)}" if stated.isascii() and stated.isdigit() and len(stated) < 9 else "không phải là số"
        remarks.add_of_file(f"SOLUONGHOSO {said}, trong tệp có {place} hồ sơ: đếm theo hồ sơ có thật")


@lru_cache(maxsize=4096)
def _day(written: str, first: date, latest: date) -> date | None:
    """The day of a yyyyMMddHHmm, the hours left out or not; None for anything else or a day that cannot be."""
    if not _A_TIME.fullmatch(written):
        return None
    try:
        day = date(int(written[:4]), int(written[4:6]), int(written[6:8]))
    except ValueError:
        return None
    return day if first <= day <= latest else None


_OF_VISITS = """\
Lượt khám chữa bệnh (visits), tính vào ngày vào (NGAY_VAO), xếp theo MA_LOAI_KCB:
  outpatient     01, 02, 05, 07, 08 (QĐ 4210: 1, 2)
  inpatient      03, 09 (QĐ 4210: 3)
  day_treatment  04
  other          06, 10 đến 16
  unknown        mã khác hoặc để trống
Loại cấp cứu (emergency) không suy ra được từ tệp này. Chỉ có tệp check-in thì vẫn là một lượt, cho đến khi có XML1.
"""
_OF_STATES = """\
{subject}.
Tính vào ngày ra (NGAY_RA), xếp theo thư mục chứa tệp. Tệp check-in không tính ở đây.
"""
_SUBJECTS = {
    "claims": (
        "Lượt KCB BHYT theo tình trạng gửi (claims); không tính MA_DOITUONG_KCB 8 (thu hồi đề nghị thanh toán) "
        "và 9 (không KCB BHYT)"
    ),
    "health_records": (
        "Lượt khám theo tình trạng liên thông hồ sơ sức khỏe (health_records); không tính MA_DOITUONG_KCB 8 "
        "(thu hồi đề nghị thanh toán)"
    ),
}
_FOLDERS = "Tình trạng theo thư mục (thư mục nằm trong cùng thì quyết định); tệp ở chỗ khác: unknown."
_NO_FOLDERS = "Chưa khai báo thư mục của từng tình trạng: tất cả là unknown.\n"
_EXPLANATION = """\
{measure}Đọc từ thư mục {folder}, cả thư mục con, các tệp {pattern}:
tệp GIAMDINHHS (XML1 của mỗi HOSO) và tệp check-in CHI_TIEU_TRANG_THAI_KCB.
{folders}Mỗi (MA_CSKCB, MA_LK) là một lượt. Gửi lại nhiều lần thì dùng bản mới nhất: theo NGAYLAP, rồi thời điểm sửa
tệp, rồi accepted, rejected, sent, unsent.
Không tính, và nêu trong status: hồ sơ thiếu XML1, MA_LK hoặc MA_CSKCB, không giải mã được, hoặc không có ngày hợp lệ.
Cơ sở: {facility}.{stranger}
"""
