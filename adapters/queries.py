"""What every `*.sql` kind does: run declared queries, and turn their rows into counts.

A query returns `day`, `category`, `count`, and `facility` when the source serves several; the contract is in
docs (contract: agent.toml). Vendor files (`vendors/*.toml` in a kind's folder) hold queries as data; agent.toml may
replace or add queries and lay mappings over theirs.
"""

import time as clock
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import closing
from copy import deepcopy
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from adapters.rows import Query, Rows, fold
from adapters.sql import Database, Session, Time, binds, describe_window, is_one_select
from contract.adapter import DayCount, Memory, Reading, SourceConfig, Unmapped
from contract.catalogue import Catalogue
from contract.days import DayRange
from contract.errors import ConfigError, SourceError
from contract.problems import sentences


class Options(BaseModel):
    """The keys of a `*.sql` source beyond the common ones; others must be options of its vendor file."""

    model_config = ConfigDict(extra="allow", frozen=True)

    database_file: str = Field(default="", min_length=1)
    vendor: str | None = None
    attach: dict[str, str] = {}
    oracle_client: str | None = Field(default=None, min_length=1)
    queries: dict[str, "QueryTable"] = {}


class QueryTable(BaseModel):
    """One `[sources.NAME.queries.QUERY]`, or one query of a vendor file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    measure: str | None = None
    time: Time | None = None
    sql: str | None = None
    categories: dict[str, str] = {}


class VendorQuery(QueryTable):
    """A query of a vendor file.

    `branches`: its `facility` column is the vendor's own branch id, which means something only through
    `[sources.NAME.facilities]`. `instead`: option of the source → the text to run where that option is set.
    Any text may bind an option's list as `:OPTION` and its length as `:OPTION_count`.
    """

    note: str = ""
    branches: bool = False
    instead: dict[str, str] = {}


class Vendor(BaseModel):
    """A vendor file.

    `include`: vendor files whose queries it has too, as paths below `adapters/`: what two kinds offer is written once.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    include: list[str] = []
    queries: dict[str, VendorQuery] = {}


class SqlAdapter:
    """Reads a database by declared queries. Where it is silent, nothing happened: every day asked gets a count."""

    def __init__(self, config: SourceConfig, catalogue: Catalogue, vendors: Traversable) -> None:
        """Check the whole table; raises ConfigError with every problem."""
        self._config = config
        self._catalogue = catalogue
        problems: list[str] = []
        options = _options(config, problems)
        vendor = _vendor(config, options, vendors, problems)
        self._lists = _vendor_options(config, options, vendor, problems)
        queries = _merged(config, catalogue, options, vendor, self._lists, problems)
        self._queries = _asked_for(config, queries, problems)
        self._facilities = {fold(value): facility for value, facility in config.facility_map.items()}
        problems += [f"{config.place}: facilities: {problem}" for problem in _clashes(config.facility_map)]
        if any(query.branches for query in self._queries) and len(config.serves) > 1 and not config.facility_map:
            problems.append(f"{config.place}: nguồn phục vụ nhiều cơ sở, cần bảng [sources.{config.name}.facilities]")
        self._database = _database(config, options, problems)
        self._vendor = options.vendor or "-"
        if problems:
            raise ConfigError(problems)

    @property
    def measures(self) -> tuple[str, ...]:
        """The measures that its queries count, in the order of the vendor file."""
        return tuple(dict.fromkeys(query.measure for query in self._queries))

    @property
    def identity(self) -> str:
        """Kind, vendor and database."""
        return f"{self._config.kind} {self._vendor} {self._database.name}"

    @property
    def silence_is_zero(self) -> bool:
        """A database says nothing where nothing happened."""
        return True

    def probe(self) -> None:
        """Connect, nothing more. Raises SourceError."""
        with self._database.session():
            pass

    def read(self, days: DayRange, measures: tuple[str, ...], memory: Memory) -> Iterator[Reading]:
        """A step for each measure: one that fails is named in `failed`, the others stand. Raises SourceError."""
        with self._database.session() as session:
            for measure in measures:
                reading, started = Reading(), clock.monotonic()
                try:
                    self._count(session, measure, days, reading)
                except SourceError as error:
                    reading = Reading(failed={measure: error})
                reading.seconds[measure] = clock.monotonic() - started
                yield reading

    def _count(self, session: Session, measure: str, days: DayRange, reading: Reading) -> None:
        rows = Rows(self._config, self._facilities, days, money=self._catalogue.measures[measure].unit == "VND")
        for query in self._queries:
            if query.measure == measure:
                # closed at once: an error keeps its traceback, and that would keep the transaction open
                with closing(session.rows(query.sql, query.time, days, self._lists)) as found:
                    rows.take(query, found)
        for facility in self._config.serves:
            for day in days:
                reading.tallies.append(DayCount(facility, measure, day, rows.counts(facility, day)))
        reading.unmapped += [
            Unmapped(facility, measure, day, value, cases) for (facility, day, value), cases in rows.unmapped.items()
        ]
        reading.strangers = dict(rows.strangers)

    def explain(self, measure: str) -> str:
        """Definition, query, bindings and mapping of `measure`."""
        meaning = self._catalogue.measures[measure]
        parts = [
            f"{meaning.vi} ({measure}): {meaning.meaning_vi}",
            f"Ngày tính theo: {meaning.day_vi}.",
            f"Nguồn {self._config.name}: {self._database.name}",
        ]
        for query in self._queries:
            if query.measure == measure:
                parts += [f"Câu truy vấn “{query.name}”; {describe_window(query.time)}", query.sql.strip(), query.note]
                used = binds(query.sql)
                parts += [f":{name} = {', '.join(values)}" for name, values in self._lists.items() if name in used]
                mapping = [f"  {raw} → {code}" for raw, code in query.categories.items()]
                parts += ["Giá trị của cột category:", *mapping, "  giá trị khác hoặc rỗng → unknown (chưa phân loại)"]
        if self._config.facility_map:
            pairs = ", ".join(f"{raw} → {facility}" for raw, facility in self._config.facility_map.items())
            parts.append(f"Cột facility: {pairs}; giá trị khác không được đếm.")
        return "\n".join(part for part in parts if part)


def _options(config: SourceConfig, problems: list[str]) -> Options:
    """The keys of the table; one that cannot be used is named and left out, so that the others are checked too."""
    content = deepcopy(dict(config.options))
    if "database_file" not in content:
        problems.append(f"{config.place}: database_file: thiếu khóa bắt buộc này")
    try:
        return Options.model_validate(content)
    except ValidationError as error:
        problems += sentences(config.place, error)
        for one in error.errors(include_input=False):
            *path, key = one["loc"]
            table: Any = content
            for part in path:
                table = table[part]
            table.pop(key, None)
    return Options.model_validate(content)


def _vendor(config: SourceConfig, options: Options, vendors: Traversable, problems: list[str]) -> Vendor:
    if options.vendor is None:
        return Vendor(name="-")
    known = {one.name.removesuffix(".toml"): one for one in vendors.iterdir() if one.name.endswith(".toml")}
    if options.vendor in known:
        return _vendor_file(known[options.vendor])
    problems.append(f"{config.place}: vendor: không có “{options.vendor}”; đang có: {', '.join(sorted(known))}")
    return Vendor(name="-")


def _vendor_file(file: Traversable) -> Vendor:
    """The vendor file, its own queries first."""
    vendor = Vendor.model_validate(tomllib.loads(file.read_text("utf-8")))
    included = [_vendor_file(resources.files("adapters").joinpath(path)) for path in vendor.include]
    queries = {name: query for one in (vendor, *included) for name, query in one.queries.items()}
    return vendor.model_copy(update={"queries": queries})


def _vendor_options(
    config: SourceConfig, options: Options, vendor: Vendor, problems: list[str]
) -> dict[str, list[str]]:
    offered = {name for query in vendor.queries.values() for name in query.instead}
    lists: dict[str, list[str]] = {}
    for name, value in (options.model_extra or {}).items():
        if name not in offered:
            problems.append(f"{config.place}: không có khóa “{name}”")
        elif not isinstance(value, list) or not value or not all(isinstance(one, str) for one in value):
            problems.append(f"{config.place}: {name}: phải là danh sách chữ, không rỗng")
        else:
            lists[name] = list(dict.fromkeys(value))
    return lists


def _merged(
    config: SourceConfig,
    catalogue: Catalogue,
    options: Options,
    vendor: Vendor,
    lists: Mapping[str, list[str]],
    problems: list[str],
) -> list[Query]:
    """The vendor's queries with those of agent.toml laid over them, checked."""
    queries = []
    for name in dict.fromkeys([*vendor.queries, *options.queries]):
        below, above = vendor.queries.get(name, VendorQuery()), options.queries.get(name, QueryTable())
        text = above.sql or next((below.instead[option] for option in below.instead if option in lists), below.sql)
        query = Query(
            name=name,
            measure=above.measure or below.measure or name,
            time=above.time or below.time or "datetime",
            sql=(text or "").strip().rstrip(";"),
            categories=_categories(catalogue, above.measure or below.measure or name, below, above),
            branches=below.branches and not above.sql,
            note="" if above.sql else below.note,
        )
        place = f"{config.place[:-1]}.queries.{name}]"
        declared = {**below.categories, **above.categories}
        problems += [f"{place}: {problem}" for problem in _problems_of(query, declared, lists, catalogue)]
        problems += [f"{place}: categories: {problem}" for problem in _clashes(above.categories)]
        queries.append(query)
    if not queries and not problems:
        problems.append(f"{config.place}: chưa có câu truy vấn: khai báo vendor hoặc [sources.{config.name}.queries.…]")
    return queries


def _categories(catalogue: Catalogue, measure: str, below: QueryTable, above: QueryTable) -> dict[str, str]:
    # A query may answer with the catalogue's own codes; a declared mapping goes before that.
    codes = catalogue.measures[measure].codes if measure in catalogue.measures else ()
    declared = {**below.categories, **above.categories}
    return {**{code: code for code in sorted(codes)}, **{fold(raw): code for raw, code in declared.items()}}


def _problems_of(
    query: Query, declared: Mapping[str, str], lists: Mapping[str, list[str]], catalogue: Catalogue
) -> Iterator[str]:
    measure = catalogue.measures.get(query.measure)
    if measure is None:
        yield f"measure: danh mục không có “{query.measure}”"
    else:
        yield from (
            f"categories: “{code}” không phải là category của {query.measure} ({', '.join(measure.categories)})"
            for code in dict.fromkeys(declared.values())
            if code not in measure.codes
        )
    if not query.sql:
        yield "sql: chưa có câu truy vấn"
    elif not is_one_select(query.sql):
        yield "sql: chỉ nhận một câu SELECT"
    else:
        used, offered = binds(query.sql), {"start", "end", *lists, *(f"{name}_count" for name in lists)}
        yield from (f"sql: thiếu :{name}" for name in ("start", "end") if name not in used)
        yield from (f"sql: không có giá trị nào cho :{name}" for name in sorted(used - offered))


def _clashes(mapping: Mapping[str, str]) -> Iterator[str]:
    """Raw values that are told apart in the table but not when rows are compared with it."""
    seen: dict[str, str] = {}
    for raw, meaning in mapping.items():
        if seen.setdefault(fold(raw), meaning) != meaning:
            yield f"“{raw}” được khai báo hai lần (không phân biệt chữ hoa, chữ thường, khoảng trắng)"


def _asked_for(config: SourceConfig, queries: list[Query], problems: list[str]) -> list[Query]:
    if config.measures is None or not queries:
        return queries
    counted = {query.measure for query in queries}
    uncounted = [measure for measure in config.measures if measure not in counted]
    problems += [f"{config.place}: measures: không câu truy vấn nào đếm “{measure}”" for measure in uncounted]
    return [query for query in queries if query.measure in config.measures]


def _database(config: SourceConfig, options: Options, problems: list[str]) -> Database:
    attach = {name: (config.directory / path).absolute() for name, path in options.attach.items()}
    odd = [name for name in attach if not name.isidentifier() or name in ("main", "temp")]
    problems += [f"{config.place}: attach: “{name}” không dùng làm tên schema được" for name in odd]
    file = config.directory / options.database_file
    try:
        if options.database_file:
            # Notepad begins a UTF-8 file with a mark
            client = config.directory / options.oracle_client if options.oracle_client else None
            return Database(file.read_text("utf-8-sig"), attach, config.directory, config.timeout_seconds, client)
    except (OSError, UnicodeDecodeError):
        problems.append(f"{config.place}: database_file: không đọc được tệp {file}")
    except ConfigError as error:
        problems += [f"{config.place}: database_file: {problem}" for problem in error.problems]
    raise ConfigError(problems)


Options.model_rebuild()
