"""The boards' variables: what a reader chooses at the top, and what links carry from board to board."""

from collections.abc import Mapping, Sequence

from contract.catalogue import Catalogue
from dashboards.boards import words
from dashboards.boards.sdk import Builder, builders, models, options

DATASOURCE_UID = "nhipso"
Variable = Builder[models.VariableModel]
_ALL = models.VariableOption(selected=True, text=["All"], value=["$__all"])
_LABEL_VALUES, _QUERY_RESULT = 1, 3  # the Prometheus plugin's numbers of kinds of variable queries


def prometheus() -> options.DataSourceRef:
    """The datasource that the reader has chosen."""
    return options.DataSourceRef(type_val="prometheus", uid="${datasource}")


def datasource() -> Variable:
    """`$datasource`."""
    current = models.VariableOption(selected=True, text="Nhịp số", value=DATASOURCE_UID)
    return builders.DatasourceVariable("datasource").label("Nguồn dữ liệu").type("prometheus").current(current)


def area() -> Variable:
    """`$area`: several, or all (a facility without an area too)."""
    return _all(_query("area", "Địa bàn", "label_values(nhipso_facility_info, area)", _LABEL_VALUES))


def level() -> Variable:
    """`$level`: several, or all; the levels are fixed, so they are shown by name."""
    built = builders.CustomVariable("level").label("Loại cơ sở").values(_choices(words.LEVELS))
    return built.multi(True).include_all(True).all_value(".*").current(_ALL)


def facility(*, several: bool) -> Variable:
    """`$facility`: several, or all; or one, for the board of one facility. Shown by name, its value is the id."""
    # `.*` up to the next label, for a name may hold quotation marks
    pattern = '/facility="(?<value>[^"]*)",.*,name="(?<text>.*)",ownership="/'
    expression = 'query_result(nhipso_facility_info{area=~"$area", level=~"$level"})'
    built = _query("facility", "Cơ sở", expression, _QUERY_RESULT).regex(pattern)
    return _all(built) if several else built


def indicator(catalogue: Catalogue, first: Sequence[str]) -> Variable:
    """`$indicator`: several, or all; `first`: those chosen when nobody has chosen."""
    found = words.indicators(catalogue)
    built = builders.CustomVariable("indicator").label("Chỉ số").values(_choices(found))
    current = _ALL
    if first:
        current = models.VariableOption(selected=True, text=[found[one] for one in first], value=list(first))
    return built.multi(True).include_all(True).all_value(".*").current(current)


def _query(name: str, label: str, expression: str, kind: int) -> builders.QueryVariable:
    query: dict[str, object] = {"query": expression, "qryType": kind, "refId": f"variable-{name}"}
    built = builders.QueryVariable(name).label(label).datasource(prometheus()).query(query).definition(expression)
    return built.refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED).sort(
        models.VariableSort.ALPHABETICAL_CASE_INSENSITIVE_ASC
    )


def _all(built: builders.QueryVariable) -> builders.QueryVariable:
    return built.multi(True).include_all(True).all_value(".*").current(_ALL)


def _choices(names: Mapping[str, str]) -> str:
    """Grafana's text of a custom variable: `name : value`, a comma in a name escaped."""
    escaped = {code: name.replace(",", "\\,") for code, name in names.items()}
    return ", ".join(f"{name} : {code}" for code, name in escaped.items())
