"""Plans, calendar and thresholds as a Sở sets them up: the samples, and what `plan check` says of a file."""

import re
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from collector.__main__ import main
from collector.settings import File, load, yardstick
from collector.thresholds import Thresholds

CONFIG = Path(__file__).parent.parent / "config"
PLANS = sorted(CONFIG.glob("plans/*.toml"))
GOOD = """
issuer = "Sở Y tế"
title = "Kế hoạch cải cách hành chính"
short = "Kế hoạch"
first_day = 2026-01-01
last_day = 2026-12-31
[[targets]]
indicator = "cashless"
ratio = 0.9
section = "I"
words = "90 %"
[[targets]]
indicator = "emr"
section = "II"
words = "theo dõi"
[[manual]]
code = "inspected"
vi = "Đơn vị được kiểm tra"
en = "Units inspected"
value = 20
section = "III"
words = "20 %"
"""


def run(directory: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["--config", str(directory / "collector.toml"), *arguments])


def check(directory: Path, text: str, name: str = "ke-hoach.toml") -> Result:
    file = directory / name
    file.write_text(text, "utf-8")
    return run(directory, "plan", "check", str(file))


def test_a_good_plan_is_said_to_hold_what_it_holds(tmp_path: Path) -> None:
    done = check(tmp_path, GOOD)
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "ke-hoach: Kế hoạch cải cách hành chính",
        "  01/01/2026 đến 31/12/2026, có hiệu lực đến 31/01/2027",
        "  1 chỉ tiêu, 1 chỉ số theo dõi, 1 chỉ tiêu nhập tay",
    ]


def test_a_plan_that_is_over_is_said_to_be(tmp_path: Path) -> None:
    done = check(tmp_path, GOOD.replace("2026-", "2020-"))
    assert (done.exit_code, "đã hết hiệu lực" in done.stdout) == (0, True)


def test_all_plans_that_come_with_the_program_are_good(tmp_path: Path) -> None:
    done = run(tmp_path, "plan", "check", *map(str, PLANS))
    assert (done.exit_code, done.stderr) == (0, "")
    assert [line.partition(":")[0] for line in done.stdout.splitlines() if line[0] != " "] == [
        *("ha-tinh-2022", "lai-chau-2026-2030", "lao-cai-san-nhi-2026", "ninh-thuan-2025", "so-y-te-2026")
    ]


def test_every_mistake_of_every_file_is_named_with_exit_code_2(tmp_path: Path) -> None:
    one, other = tmp_path / "mot.toml", tmp_path / "hai.toml"
    one.write_text(GOOD.replace('"cashless"', '"joy"').replace("first_day = 2026", "first_day = 2027"))
    other.write_text(GOOD.replace("ratio = 0.9", "ratio = 90").replace('section = "III"', ""))
    done = run(tmp_path, "plan", "check", str(one), str(other))
    assert (done.exit_code, done.stdout) == (2, "")
    told = done.stderr.splitlines()
    assert [line.partition(": ")[0] for line in told] == [str(one)] * 2 + [str(other)] * 2
    wrong = ("first_day", "“joy”", "[[targets]] thứ 1 (cashless, I): ratio", "[[manual]] thứ 1 (inspected): section")
    for line, words in zip(told, wrong, strict=True):
        assert words in line


@pytest.mark.parametrize("text", ["[plan", "\x00", "issuer = 1"])
def test_what_is_no_plan_is_answered_with_its_name_and_exit_code_2(tmp_path: Path, text: str) -> None:
    done = check(tmp_path, text)
    assert (done.exit_code, "ke-hoach.toml" in done.stderr, "Traceback" in done.output) == (2, True, False)


def test_a_file_that_cannot_be_read_is_answered_with_exit_code_2(tmp_path: Path) -> None:
    for file in (tmp_path / "none.toml", tmp_path):
        done = run(tmp_path, "plan", "check", str(file))
        assert (done.exit_code, f"{file}: không đọc được" in done.stderr) == (2, True), done.output
    assert run(tmp_path, "plan", "check").exit_code == 2


def test_a_plan_is_checked_against_the_departments_own_catalogue(tmp_path: Path) -> None:
    own = GOOD.replace('"cashless"', '"paperless"')
    assert "danh mục không có chỉ số “paperless”" in check(tmp_path, own).stderr
    (tmp_path / "own.toml").write_text(
        '[indicators.paperless]\nvi = "Không giấy"\nen = "Paperless"\nmeasure = "payments"\nadopted = ["qr"]\n'
        'levels = ["province"]\nmeaning_vi = "x"\nmeaning_en = "x"\n'
    )
    (tmp_path / "collector.toml").write_text('[collector]\ndata_dir = "data"\ncatalogue_file = "own.toml"\n')
    done = check(tmp_path, own)
    assert (done.exit_code, done.stderr) == (0, "")


def test_a_plan_is_checked_against_the_departments_own_facilities(tmp_path: Path) -> None:
    named = GOOD.replace("ratio = 0.9", 'ratio = 0.9\napplies_to = { facilities = ["12001"] }')
    unknown = "applies_to.facilities: danh bạ không có cơ sở “12001”"
    unchecked = "chưa đối chiếu mã cơ sở"
    assert unchecked in check(tmp_path, named).stdout
    assert unchecked not in check(tmp_path, GOOD).stdout
    (tmp_path / "collector.toml").write_text('[collector]\ndata_dir = "data"\n')
    # a check makes no database
    (tmp_path / "data").mkdir()
    assert (unchecked in check(tmp_path, named).stdout, list((tmp_path / "data").iterdir())) == (True, [])
    assert run(tmp_path, "migrate").exit_code == 0
    assert unchecked in check(tmp_path, named).stdout
    assert run(tmp_path, "facility", "add", "12002", "--name", "B", "--level", "province").exit_code == 0
    done = check(tmp_path, named)
    assert (done.exit_code, unknown in done.stderr) == (2, True), done.output
    assert run(tmp_path, "facility", "add", "12001", "--name", "A", "--level", "province").exit_code == 0
    done = check(tmp_path, named)
    assert (done.exit_code, done.stderr, unchecked in done.stdout) == (0, "", False)


# --- the samples


def test_init_writes_the_plans_and_the_calendar_beside_the_config(tmp_path: Path) -> None:
    target = tmp_path / "nhipso"
    done = CliRunner().invoke(main, ["init", str(target)])
    assert (done.exit_code, "5 kế hoạch mẫu" in done.stdout) == (0, True)
    written = {str(file.relative_to(target)): file.read_text("utf-8") for file in target.rglob("*") if file.is_file()}
    names = ["collector.toml", "calendar.toml", *(f"plans/{file.name}" for file in PLANS)]
    assert written == {name: (CONFIG / name).read_text("utf-8") for name in names}


@pytest.mark.parametrize("name", ["collector.toml", "calendar.toml", "plans/so-y-te-2026.toml"])
def test_init_overwrites_nothing_and_then_writes_nothing(tmp_path: Path, name: str) -> None:
    own = tmp_path / name
    own.parent.mkdir(exist_ok=True)
    own.write_text("# của Sở")
    done = CliRunner().invoke(main, ["init", str(tmp_path)])
    assert (done.exit_code, done.stderr) == (2, f"{own}: đã có, không ghi đè\n")
    assert [file for file in tmp_path.rglob("*") if file.is_file()] == [own]
    assert own.read_text() == "# của Sở"


def test_what_init_writes_works_with_every_line_switched_on(tmp_path: Path) -> None:
    CliRunner().invoke(main, ["init", str(tmp_path)])
    config = tmp_path / "collector.toml"
    text = config.read_text("utf-8")
    config.write_text(re.sub(r"^# (plan_files|calendar_file) = ", r"\1 = ", text, flags=re.M), "utf-8")
    found = load(config)
    assert found.calendar_file == tmp_path / "calendar.toml"
    assert [one.id for one in yardstick(found).plans] == ["so-y-te-2026"]


def test_the_sample_shows_every_threshold_with_its_default() -> None:
    content = tomllib.loads((CONFIG / "collector.toml").read_text("utf-8"))
    assert content["standings"].keys() == Thresholds.model_fields.keys()
    assert File.model_validate(content).standings == Thresholds()


def test_the_page_names_every_setting_of_targets() -> None:
    page = (CONFIG.parent / "docs" / "collector.md").read_text("utf-8")
    names = {"plan_files", "calendar_file", "metrics_windows", *Thresholds.model_fields}
    assert [name for name in names if f"`{name}`" not in page] == []
