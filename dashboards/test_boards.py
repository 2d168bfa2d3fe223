"""The boards as Grafana reads them, and what `check` says of boards that are not as they should be."""

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from conftest import program
from contract.catalogue import Catalogue, Level
from contract.plan import Ownership
from contract.verdict import Verdict
from dashboards import boards, rules
from dashboards.boards import sdk, words
from dashboards.boards.layout import TITLES
from dashboards.settings import General, Settings, load
from tests.grafana import expressions, substitute

ROOT = Path(__file__).parent.parent
TODAY = date(2026, 11, 22)
Board = dict[str, Any]


def settings(directory: Path) -> Settings:
    """Of a Sở with one plan; `directory`: where its dashboards.toml may be written."""
    plan = ROOT / "config" / "plans" / "lai-chau-2026-2030.toml"
    text = f'[dashboards]\nportal_url = "https://nhipso.example.gov.vn/"\nplan_files = [{json.dumps(str(plan))}]\n'
    (directory / "dashboards.toml").write_text(text, "utf-8")
    return load(directory / "dashboards.toml")


@pytest.fixture(scope="module")
def a_department(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return settings(tmp_path_factory.mktemp("dashboards"))


@pytest.fixture(scope="module")
def files(a_department: Settings) -> dict[str, str]:
    return dict(boards.files(a_department, TODAY))


def board(files: dict[str, str], uid: str) -> Board:
    found: Board = json.loads(files[f"grafana/dashboards/{uid}.json"])
    return found


def panels(files: dict[str, str]) -> Iterator[tuple[str, dict[str, Any]]]:
    for uid in TITLES:
        for one in board(files, uid)["panels"]:
            if one["type"] != "row":
                yield f"{uid}: {one['title']}", one


def panel(files: dict[str, str], uid: str, title: str) -> dict[str, Any]:
    return next(one for one in board(files, uid)["panels"] if one["title"] == title)


def test_five_boards_and_two_files_of_provisioning_are_written(files: dict[str, str]) -> None:
    uids = ("nhipso-tinh", "nhipso-co-so", "nhipso-chi-so", "nhipso-thu-thap", "nhipso-he-thong")
    provisioning = [f"grafana/provisioning/{one}/nhipso.yml" for one in ("datasources", "dashboards")]
    assert sorted(files) == sorted([f"grafana/dashboards/{uid}.json" for uid in uids] + provisioning)
    titles = [board(files, uid)["title"] for uid in uids]
    assert titles == ["Toàn tỉnh", "Cơ sở", "Chỉ số", "Phần mềm thu thập", "Hệ thống"]


def test_nothing_is_wrong_with_the_boards(a_department: Settings, files: dict[str, str]) -> None:
    assert boards.problems(a_department, files) == []


def test_the_same_settings_give_the_same_text(a_department: Settings, files: dict[str, str]) -> None:
    assert dict(boards.files(a_department, TODAY)) == files


def test_the_json_is_readable_vietnamese(files: dict[str, str]) -> None:
    text = files["grafana/dashboards/nhipso-tinh.json"]
    assert '"title": "Toàn tỉnh"' in text
    assert "\\u" not in text


def test_the_sdk_reads_back_what_it_wrote(files: dict[str, str]) -> None:
    for uid in TITLES:
        content = board(files, uid)
        again = json.loads(json.dumps(sdk.models.Dashboard.from_json(content), cls=sdk.JSONEncoder))
        assert [one["id"] for one in again["panels"]] == [one["id"] for one in content["panels"]]
        for mine, its in zip(content["panels"], again["panels"], strict=True):
            kept = ("title", "type", "gridPos", "targets", "options", "fieldConfig", "transformations")
            assert {key: its.get(key) for key in kept} == {key: mine.get(key) for key in kept}


def test_grafana_loads_the_boards_into_one_folder_and_nobody_edits_them_there(files: dict[str, str]) -> None:
    [provider] = yaml.safe_load(files["grafana/provisioning/dashboards/nhipso.yml"])["providers"]
    assert (provider["folder"], provider["folderUid"]) == ("Nhịp số", "nhipso")
    assert (provider["allowUiUpdates"], provider["editable"]) == (False, False)
    [source] = yaml.safe_load(files["grafana/provisioning/datasources/nhipso.yml"])["datasources"]
    assert (source["type"], source["uid"], source["editable"]) == ("prometheus", "nhipso", False)
    chosen = board(files, "nhipso-tinh")["templating"]["list"][0]["current"]["value"]
    assert chosen == source["uid"]


def test_the_scrape_interval_that_grafana_assumes_is_that_of_the_sample_prometheus(files: dict[str, str]) -> None:
    sample = yaml.safe_load((ROOT / "config" / "prometheus.yml").read_text("utf-8"))
    [source] = yaml.safe_load(files["grafana/provisioning/datasources/nhipso.yml"])["datasources"]
    assert source["jsonData"]["timeInterval"] == sample["global"]["scrape_interval"]
    assert [one["job_name"] for one in sample["scrape_configs"]] == ["nhipso"]
    system = json.dumps(board(files, "nhipso-he-thong"))
    assert set(re.findall(r'job=\\\\\\"(\w+)', json.dumps(system))) == {"nhipso"}


@pytest.mark.slow
def test_the_sample_prometheus_is_one_that_prometheus_takes_and_reads_the_rules_that_build_writes() -> None:
    sample = ROOT / "config" / "prometheus.yml"
    subprocess.run([program("promtool"), "check", "config", "--syntax-only", sample], check=True, capture_output=True)
    [rules] = yaml.safe_load(sample.read_text("utf-8"))["rule_files"]
    assert rules.startswith(f"{General.model_fields['grafana_dir'].default}/prometheus/")


def test_a_verdict_is_a_word_and_a_colour_wherever_it_is_shown(files: dict[str, str]) -> None:
    defaults = panel(files, "nhipso-tinh", "Kết quả của từng cơ sở")["fieldConfig"]["defaults"]
    shown = defaults["mappings"][0]["options"]
    assert {code: (one["text"], one["color"]) for code, one in shown.items()} == {
        str(int(one)): (one.vi, one.colour) for one in Verdict
    }
    assert defaults["custom"]["cellOptions"]["type"] == "color-background"
    bars = panel(files, "nhipso-chi-so", "Bao nhiêu cơ sở ở mỗi kết quả")["fieldConfig"]["overrides"]
    named = {one["matcher"]["options"]: one["properties"] for one in bars}
    assert named["below"][0] == {"id": "displayName", "value": "Chưa đạt"}
    assert named["below"][1]["value"]["fixedColor"] == Verdict.BELOW.colour


def test_a_cell_without_a_value_is_a_dash_and_an_empty_table_says_so(files: dict[str, str]) -> None:
    for name, one in panels(files):
        assert one["fieldConfig"]["defaults"]["noValue"], name
        if one["type"] == "table":
            mapped = json.dumps([one["fieldConfig"]["overrides"], one["fieldConfig"]["defaults"]])
            assert '"null+nan"' in mapped, name


def test_no_number_of_a_plan_is_written_into_a_board(a_department: Settings, files: dict[str, str]) -> None:
    """The boards of a Sở without plans differ in nothing but the plans' own words and what is chosen at first."""
    without = dict(boards.files(_without_plans(a_department), TODAY))
    for uid in TITLES:
        assert expressions(board(files, uid)) == expressions(board(without, uid))
    for name, one in panels(files):
        steps = one["fieldConfig"]["defaults"].get("thresholds", {}).get("steps", [])
        assert [step["value"] for step in steps] in ([], [None]), name


def test_what_a_plan_asks_for_is_shown_first(a_department: Settings, files: dict[str, str]) -> None:
    def first(found: dict[str, str]) -> list[str]:
        variables = {one["name"]: one for one in board(found, "nhipso-tinh")["templating"]["list"]}
        chosen: list[str] = variables["indicator"]["current"]["value"]
        return chosen

    assert {"cashless", "einvoice"} <= set(first(files))
    assert "kiosk" not in first(files)
    assert first(dict(boards.files(_without_plans(a_department), TODAY))) == ["$__all"]
    assert first(dict(boards.files(a_department, date(2040, 1, 1)))) == ["$__all"]


def test_several_or_all_may_be_chosen_but_the_board_of_a_facility_is_of_one(files: dict[str, str]) -> None:
    def chosen(uid: str) -> dict[str, tuple[bool, bool]]:
        found = board(files, uid)["templating"]["list"]
        return {one["name"]: (one["multi"], one["includeAll"]) for one in found if one["name"] != "datasource"}

    several = dict.fromkeys(("area", "level", "facility", "indicator"), (True, True))
    assert chosen("nhipso-tinh") == chosen("nhipso-chi-so") == several
    assert chosen("nhipso-co-so") == several | {"facility": (False, False)}
    assert chosen("nhipso-thu-thap") == {name: several[name] for name in ("area", "level", "facility")}


@pytest.mark.parametrize(("uid", "held"), [("nhipso-chi-so", 6), ("nhipso-co-so", 2)])
def test_each_indicator_that_is_chosen_has_a_row_of_its_own(files: dict[str, str], uid: str, held: int) -> None:
    content = board(files, uid)["panels"]
    rows = [place for place, one in enumerate(content) if one["type"] == "row"]
    (row,) = (place for place in rows if content[place].get("repeat") == "indicator")
    assert (content[row]["title"], content[row]["collapsed"]) == ("${indicator:text}", False)
    after = next((place for place in rows if place > row), len(content))
    assert after - row - 1 == held
    for place, one in enumerate(content):
        asks = any("$indicator" in target["expr"] for target in one.get("targets", []))
        assert asks == (row < place < after), one["title"]
    variables = {one["name"]: one for one in board(files, uid)["templating"]["list"]}
    assert len(variables["indicator"]["current"]["value"]) == 1


def test_the_board_of_an_indicator_quotes_the_plans(files: dict[str, str]) -> None:
    overrides = panel(files, "nhipso-chi-so", "Chỉ số này là gì, văn bản nào giao")["fieldConfig"]["overrides"]
    told = {one["matcher"]["options"]: {p["id"]: p.get("value") for p in one["properties"]} for one in overrides}
    said = told["plan"]["mappings"][0]["options"]
    assert "VII, Mục tiêu 4: “100% đơn vị khám chữa bệnh tuyến công lập" in said["cashless"]["text"]
    assert said["kiosk"]["text"] == "Chưa có kế hoạch nào giao chỉ tiêu này."
    assert told["indicator"]["mappings"][0]["options"]["kiosk"]["text"].startswith("Tỷ lệ lượt tiếp đón")


def test_a_name_with_a_comma_stays_one_choice(a_department: Settings, files: dict[str, str]) -> None:
    variables = {one["name"]: one for one in board(files, "nhipso-tinh")["templating"]["list"]}
    # how Grafana takes the text of a custom variable apart
    parts = [one.replace("\\,", ",") for one in re.findall(r"(?:\\,|[^,])+", variables["indicator"]["query"])]
    split = {code: name for name, code in (re.fullmatch(r"\s*(.+)\s:\s(.+)", one).groups() for one in parts)}  # type: ignore[union-attr]
    assert split == {code: one.vi for code, one in a_department.catalogue.indicators.items()}
    assert "," in split["kiosk"]


def test_facilities_are_chosen_by_name_even_with_quotation_marks_in_it(files: dict[str, str]) -> None:
    variable = next(one for one in board(files, "nhipso-co-so")["templating"]["list"] if one["name"] == "facility")
    pattern = variable["regex"].strip("/").replace("(?<", "(?P<")
    # how Grafana writes a series of query_result, labels in alphabetical order, quotation marks as they are
    series = (
        'nhipso_facility_info{area="Sìn Hồ",facility="12001",instance="x:1",job="nhipso",level="province",'
        'name="BVĐK "Hữu nghị", cơ sở 2",ownership="public"} 1 1764000000000'
    )
    found = re.search(pattern, series)
    assert found is not None
    assert found.groupdict() == {"value": "12001", "text": 'BVĐK "Hữu nghị", cơ sở 2'}


def test_a_facility_leads_to_its_board_and_from_there_to_its_page(files: dict[str, str]) -> None:
    overrides = panel(files, "nhipso-tinh", "Kết quả của từng cơ sở")["fieldConfig"]["overrides"]
    [link] = next(
        p["value"]
        for one in overrides
        if one["matcher"]["options"] == "name"
        for p in one["properties"]
        if p["id"] == "links"
    )
    assert link["url"].startswith("/d/nhipso-co-so?")
    assert "var-facility=${__data.fields.facility}" in link["url"]
    pages = [
        one["url"] for one in board(files, "nhipso-co-so")["links"] if one["type"] == "link" and "://" in one["url"]
    ]
    assert pages == ["https://nhipso.example.gov.vn/facilities/${facility}"]


def test_links_between_boards_carry_what_the_other_board_can_take(files: dict[str, str]) -> None:
    def carried(uid: str, to: str) -> list[str]:
        urls = [one["url"] for one in board(files, uid)["links"]]
        [url] = [one for one in urls if one.startswith(f"/d/{to}?")]
        return re.findall(r"\$\{(\w+):queryparam\}", url)

    everything = ["datasource", "area", "level", "facility", "indicator"]
    assert carried("nhipso-chi-so", "nhipso-tinh") == everything
    assert carried("nhipso-tinh", "nhipso-chi-so") == everything
    # one facility there, several here
    assert carried("nhipso-tinh", "nhipso-co-so") == ["datasource", "area", "level", "indicator"]
    assert carried("nhipso-co-so", "nhipso-tinh") == everything
    assert carried("nhipso-thu-thap", "nhipso-he-thong") == ["datasource"]


def test_every_board_links_to_the_four_others_in_sight(files: dict[str, str]) -> None:
    for uid in TITLES:
        links = [one for one in board(files, uid)["links"] if one["url"].startswith("/d/")]
        assert {re.split(r"[/?]", one["url"])[2] for one in links} == set(TITLES) - {uid}
        assert all(one["keepTime"] and "placement" not in one for one in links)


def test_codes_that_people_would_read_have_words(a_department: Settings, files: dict[str, str]) -> None:
    table = panel(files, "nhipso-co-so", "Số trường hợp hôm nay")
    mapped = {
        one["matcher"]["options"]: next(p["value"][0]["options"] for p in one["properties"] if p["id"] == "mappings")
        for one in table["fieldConfig"]["overrides"]
        if one["matcher"]["options"] != "Value"
    }
    assert set(mapped["measure"]) == set(a_department.catalogue.measures)
    assert set(mapped["case"]) == set(_cases(a_department.catalogue))
    assert mapped["case"]["payments/unknown"]["text"] == "Chưa phân loại"


def test_the_target_in_a_chart_is_named_by_the_plans_short_name(a_department: Settings, files: dict[str, str]) -> None:
    chart = panel(files, "nhipso-co-so", "Tỷ lệ so với lộ trình và chỉ tiêu")
    (target,) = (one for one in chart["targets"] if "nhipso_target_ratio" in one["expr"])
    named = {
        one["matcher"]["options"]: one["properties"][0]["value"]
        for one in chart["fieldConfig"]["overrides"]
        if one["matcher"]["id"] == "byName"
    }
    (plan,) = a_department.plans
    assert (target["legendFormat"], named) == ("{{plan}}", {plan.id: f"Chỉ tiêu ({plan.short})"})


def test_every_kind_of_source_has_a_name(files: dict[str, str]) -> None:
    adapters = ROOT / "adapters"
    kinds = {
        f"{file.parent.name}.{file.stem}"
        for file in adapters.glob("*/*.py")
        if re.search(r"^def adapter\(", file.read_text("utf-8"), re.M)
    }
    assert kinds | {"sheet.upload"} == set(words.KINDS)
    for uid in ("nhipso-co-so", "nhipso-thu-thap"):
        overrides = panel(files, uid, "Các nguồn số liệu")["fieldConfig"]["overrides"]
        [kind] = [one["properties"] for one in overrides if one["matcher"]["options"] == "kind"]
        assert "HIS (cơ sở dữ liệu)" in json.dumps(kind, ensure_ascii=False)


def test_the_collector_has_one_name(files: dict[str, str]) -> None:
    texts = " ".join([*files.values(), *words.ALERTS.values()]).casefold()
    assert "máy thu thập" not in texts
    assert "máy chủ thu thập" in texts


def test_every_alert_that_may_fire_and_every_level_has_a_word(a_department: Settings) -> None:
    groups = yaml.safe_load(rules.files(a_department, TODAY)[rules.FILE])["groups"]
    names = {one["alert"] for group in groups for one in group["rules"] if "alert" in one}
    assert names - {"Watchdog"} == set(words.ALERTS)
    assert set(words.LEVELS) == set(get_args(Level))
    assert set(words.OWNERSHIPS) == set(get_args(Ownership))


def _cases(catalogue: Catalogue) -> Iterator[str]:
    for code, measure in catalogue.measures.items():
        yield from (f"{code}/{category}" for category in measure.codes)


def test_every_unit_and_time_is_given_where_a_figure_is_shown(files: dict[str, str]) -> None:
    for name, one in panels(files):
        for override in one["fieldConfig"]["overrides"]:
            found = {p["id"]: p.get("value") for p in override["properties"]}
            if override["matcher"]["options"].startswith("Value") and "custom.cellOptions" not in found:
                assert found.get("unit"), (name, override["matcher"])


def test_variables_are_put_into_an_expression_as_grafana_does() -> None:
    chosen = {"area": ".*", "facility": "12001"}
    assert substitute('x{area=~"$area", f="${facility}"}[$__rate_interval]', chosen) == 'x{area=~".*", f="12001"}[1m]'
    assert substitute('label_replace(x, "a", "$1", "b", "(.*)")', {}) == 'label_replace(x, "a", "$1", "b", "(.*)")'
    with pytest.raises(KeyError):
        substitute('x{level="$level"}', chosen)


def _without_plans(one: Settings) -> Settings:
    return load(_without_line(one.directory / "dashboards.toml", "plan_files"))


def _without_line(file: Path, start: str) -> Path:
    lines = [line for line in file.read_text("utf-8").splitlines() if not line.startswith(start)]
    other = file.with_name("without.toml")
    other.write_text("\n".join(lines), "utf-8")
    return other


Break = Callable[[Board], object]


def _first(content: Board, kind: str) -> Any:
    return next(one for one in content["panels"] if one["type"] == kind)


@pytest.mark.parametrize(
    ("breaks", "said"),
    [
        (lambda one: one.update(timezone="browser"), "timezone phải là 'Asia/Ho_Chi_Minh'"),
        (lambda one: one.update(editable=True), "editable phải là False"),
        (lambda one: one.update(description=""), "thiếu description"),
        (lambda one: one["templating"]["list"].pop(0), "thiếu biến datasource"),
        (lambda one: one["templating"]["list"][1].update(label=""), "biến area: thiếu nhãn"),
        (lambda one: one["templating"]["list"].pop(1), "biến $area không được khai báo"),
        (
            lambda one: one["templating"]["list"][1].update(datasource=None),
            "biến area: nguồn dữ liệu phải là $datasource",
        ),
        (
            lambda one: one["templating"]["list"][1]["query"].update(query="label_values(nhipso_facilities, area)"),
            "biến area: chỉ số đo nhipso_facilities không có trong contract/metrics.py",
        ),
        (lambda one: _first(one, "stat").update(id=0), "id phải từ 1"),
        (lambda one: _first(one, "stat").update(id=1), "id 1 dùng cho nhiều khung"),
        (lambda one: _first(one, "stat").update(title="Cảnh báo"), "hai khung cùng tên “Cảnh báo”"),
        (lambda one: _first(one, "stat").update(description=""), "khung “Cơ sở đã đăng ký”: thiếu mô tả"),
        (lambda one: _first(one, "stat")["fieldConfig"]["defaults"].pop("unit"), "thiếu đơn vị"),
        (
            lambda one: _first(one, "stat")["fieldConfig"]["defaults"].pop("noValue"),
            "thiếu câu nói khi không có số liệu",
        ),
        (lambda one: _first(one, "stat").update(targets=[]), "thiếu truy vấn"),
        (lambda one: _first(one, "stat").update(datasource={"type": "prometheus", "uid": "x"}), "phải là $datasource"),
        (lambda one: _first(one, "stat")["options"].update(text=None), "options.text không có giá trị"),
        (lambda one: _first(one, "stat")["targets"][0].update(datasource={}), "truy vấn A: nguồn dữ liệu phải là"),
        (lambda one: _first(one, "stat")["targets"][0].update(expr="count(nhipso_x)"), "chỉ số đo nhipso_x không có"),
        (lambda one: _first(one, "stat")["targets"][0].update(expr="rate(up[5m])"), "phải dùng $__rate_interval"),
        (lambda one: _first(one, "stat")["targets"].append(_first(one, "stat")["targets"][0]), "truy vấn A lặp lại"),
        (lambda one: _first(one, "stat")["gridPos"].update(w=2), "không vừa 24 cột hoặc quá hẹp"),
        (lambda one: _first(one, "stat")["gridPos"].update(w=5), "khung “Không gửi số liệu quá 24 giờ” đè lên"),
        (lambda one: _first(one, "row").update(panels=[_first(one, "stat")]), "hàng đang mở mà chứa khung"),
        (
            lambda one: next(panel for panel in one["panels"] if panel.get("repeat")).update(repeat="datasource"),
            "khung “${indicator:text}”: $datasource để lặp theo không phải biến chọn được nhiều giá trị",
        ),
        (lambda one: one["links"][0].update(url="/d/nhipso-xa"), "liên kết đến bảng “nhipso-xa” không có"),
        (lambda one: one.update(uid="nhipso-co-so"), "uid “nhipso-co-so” dùng cho nhiều bảng"),
        (lambda one: one.update(title="Cơ sở"), "title “Cơ sở” dùng cho nhiều bảng"),
    ],
)
def test_check_names_what_is_wrong(a_department: Settings, files: dict[str, str], breaks: Break, said: str) -> None:
    name = "grafana/dashboards/nhipso-tinh.json"
    content = json.loads(files[name])
    breaks(content)
    found = boards.problems(a_department, files | {name: json.dumps(content)})
    assert any(said in one for one in found), found


def test_check_names_a_file_that_is_not_json(a_department: Settings, files: dict[str, str]) -> None:
    name = "grafana/dashboards/nhipso-tinh.json"
    found = boards.problems(a_department, files | {name: "{"})
    assert any(one.startswith(f"{name}: không phải là JSON đúng") for one in found)


SOURCES, PROVIDERS = (f"grafana/provisioning/{one}/nhipso.yml" for one in ("datasources", "dashboards"))


@pytest.mark.parametrize(
    ("name", "wrong", "right", "said"),
    [
        (SOURCES, "datasources:", "sources:", "phải có đúng một mục trong datasources"),
        (SOURCES, "apiVersion: 1", "apiVersion: 2", "apiVersion phải là 1"),
        (SOURCES, "uid: nhipso", "uid: khac", "uid phải là 'nhipso'"),
        (SOURCES, "type: prometheus", "type: loki", "type phải là 'prometheus'"),
        (SOURCES, "url: http://", "url: ", "url phải bắt đầu bằng http:// hoặc https://"),
        (SOURCES, "timeInterval", "interval", "thiếu jsonData.timeInterval"),
        (PROVIDERS, "folderUid: nhipso", "folderUid: x", "folderUid phải là 'nhipso'"),
        (PROVIDERS, "allowUiUpdates: false", "allowUiUpdates: true", "allowUiUpdates phải là False"),
        (PROVIDERS, "path: /etc", "path: etc", "phải là đường dẫn tuyệt đối: sửa grafana_dir của dashboards.toml"),
        (PROVIDERS, "/grafana/dashboards", "/bang", "options.path phải kết thúc bằng grafana/dashboards"),
        (PROVIDERS, "providers:", "providers: [", "không phải là YAML đúng"),
        ("grafana/dashboards/nhipso-tinh.json", '"value": "nhipso"', '"value": "x"', "nguồn chọn sẵn phải là “nhipso”"),
    ],
)
def test_check_names_what_is_wrong_with_the_provisioning(
    a_department: Settings, files: dict[str, str], name: str, wrong: str, right: str, said: str
) -> None:
    assert wrong in files[name]
    found = boards.problems(a_department, files | {name: files[name].replace(wrong, right, 1)})
    assert any(one.startswith(f"{name}: ") and said in one for one in found), found


def test_check_names_a_file_of_provisioning_that_is_missing(a_department: Settings, files: dict[str, str]) -> None:
    found = boards.problems(a_department, {name: text for name, text in files.items() if name != SOURCES})
    assert found == [f"{SOURCES}: thiếu tệp này"]
