"""What every `*.sql` kind does: run declared queries, and turn their rows into counts.

A query returns `day`, `category`, `count`, and `facility` when the source serves several; the contract is in
docs (contract: agent.toml). Vendor files (`vendors/*.toml` in a kind's folder) hold queries as data; agent.toml may
replace or add queries and lay mappings over theirs.
"""

import re
import time as clock
import tomllib
from collections.abc import Iterator, Mapping
from importlib.resources.abc import Traversable

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from adapters.rows import Query, Rows, fold
from adapters.sql import Database, Session, Time, describe_window
from contract.adapter import DayCount, Memory, Reading, SourceConfig, Unmapped
from contract.catalogue import Catalogue
from contract.days import DayRange
from contract.errors import ConfigError, SourceError


class Options(BaseModel):
    """The keys of a `*.sql` source beyond the common ones; others must be options of its vendor file."""

    model_config = ConfigDict(extra="allow", frozen=True)

    database_file: str = Field(min_length=1)
    vendor: str | None = None
    attach: dict[str, str] = {}
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
    `[sources.NAME.facilities]`. `instead`: option of the source → the text to run where that option is set;
    the option's list is bound as `:OPTION`, its length as `:OPTION_count`.
    """

    note: str = ""
    branches: bool = False
    instead: dict[str, str] = {}


class Vendor(BaseModel):
    """A vendor file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    queries: dict[str, VendorQuery] = {}


class SqlAdapter:
    """Reads a database by declared queries. Where it is silent, nothing happened: every day asked gets a count."""

    def __init__(self, config: SourceConfig, catalogue: Catalogue, vendors: Traversable) -> None:
        """Check the whole table; raises ConfigError with every problem."""
        self._config = config
        self._catalogue = catalogue
        options, vendor = _options(config, vendors)
        problems: list[str] = []
        self._lists = _vendor_options(config, options, vendor, problems)
        queries = _merged(config, catalogue, options, vendor, self._lists, problems)
        self._queries = _asked_for(config, queries, problems)
        self._facilities = {fold(value): facility for value, facility in config.facility_map.items()}
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
                rows.take(query, session.rows(query.sql, query.time, days, self._lists))
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
                mapping = [f"  {raw} → {code}" for raw, code in query.categories.items()]
                parts += ["Giá trị của cột category:", *mapping, "  giá trị khác hoặc rỗng → unknown (chưa phân loại)"]
        if self._config.facility_map:
            pairs = ", ".join(f"{raw} → {facility}" for raw, facility in self._config.facility_map.items())
            parts.append(f"Cột facility: {pairs}; giá trị khác không được đếm.")
        return "\n".join(part for part in parts if part)


def _options(config: SourceConfig, vendors: Traversable) -> tuple[Options, Vendor]:
    try:
        options = Options.model_validate(dict(config.options))
    except ValidationError as error:
        raise ConfigError(_sentences(config.place, error)) from None
    if options.vendor is None:
        return options, Vendor(name="-")
    file = vendors.joinpath(f"{options.vendor}.toml")
    if not file.is_file():
        known = ", ".join(sorted(one.name[:-5] for one in vendors.iterdir() if one.name.endswith(".toml")))
        raise ConfigError(f"{config.place}: vendor: không có “{options.vendor}”; đang có: {known}")
    return options, Vendor.model_validate(tomllib.loads(file.read_text("utf-8")))


def _sentences(place: str, error: ValidationError) -> list[str]:
    return [f"{place}: {'.'.join(str(part) for part in one['loc'])}: {one['msg']}" for one in error.errors()]


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
            lists[name] = value
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
        found = [f"{place}: {problem}" for problem in _problems_of(query, declared, catalogue)]
        problems += found
        queries += [] if found else [query]
    if not queries and not problems:
        problems.append(f"{config.place}: chưa có câu truy vấn: khai báo vendor hoặc [sources.{config.name}.queries.…]")
    return queries


def _categories(catalogue: Catalogue, measure: str, below: QueryTable, above: QueryTable) -> dict[str, str]:
    # A query may answer with the catalogue's own codes; a declared mapping goes before that.
    codes = catalogue.measures[measure].codes if measure in catalogue.measures else ()
    declared = {**below.categories, **above.categories}
    return {**{code: code for code in sorted(codes)}, **{fold(raw): code for raw, code in declared.items()}}


def _problems_of(query: Query, declared: Mapping[str, str], catalogue: Catalogue) -> Iterator[str]:
    measure = catalogue.measures.get(query.measure)
    if measure is None:
        yield f"measure: danh mục không có “{query.measure}”"
    else:
        yield from (
            f"categories: “{code}” không phải là category của {query.measure} ({', '.join(measure.categories)})"
            for code in dict.fromkeys(declared.values())
            if code not in measure.codes
        )
    bare = re.sub(r"--[^\n]*|/\*.*?\*/", " ", query.sql, flags=re.S).strip()
    if not bare:
        yield "sql: chưa có câu truy vấn"
    elif not re.match(r"(?i)\(*\s*(select|with)\b", bare) or ";" in re.sub(r"'[^']*'", "", bare):
        yield "sql: chỉ nhận một câu SELECT"
    else:
        yield from (f"sql: thiếu :{name}" for name in ("start", "end") if not re.search(rf"(?<![:\w]):{name}\b", bare))


def _asked_for(config: SourceConfig, queries: list[Query], problems: list[str]) -> list[Query]:
    if config.measures is None:
        return queries
    counted = {query.measure for query in queries}
    uncounted = [measure for measure in config.measures if measure not in counted]
    problems += [f"{config.place}: measures: không câu truy vấn nào đếm “{measure}”" for measure in uncounted]
    return [query for query in queries if query.measure in config.measures]


def _database(config: SourceConfig, options: Options, problems: list[str]) -> Database:
    file = config.directory / options.database_file
    attach = {name: (config.directory / path).absolute() for name, path in options.attach.items()}
    odd = [name for name in attach if not name.isidentifier()]
    problems += [f"{config.place}: attach: “{name}” không phải là tên schema" for name in odd]
    try:
        url = file.read_text("utf-8")
        return Database(url, attach, config.directory, config.timeout_seconds)
    except (OSError, UnicodeDecodeError):
        problems.append(f"{config.place}: database_file: không đọc được tệp {file}")
    except ConfigError as error:
        problems += [f"{config.place}: database_file: {problem}" for problem in error.problems]
    raise ConfigError(problems)


Options.model_rebuild()
