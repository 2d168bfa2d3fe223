"""docs/systems.md leads every system that the plans name to its way in, and all of its configuration is accepted."""

import re
from pathlib import Path
from typing import Any

import pytest

from agent.app import describe
from agent.settings import load
from contract import catalogue
from tests.test_kinds import CONTENT, SECRET, kinds

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "systems.md").read_text("utf-8")
BLOCKS = re.findall(r"^```toml\n(.*?)^```$", PAGE, re.M | re.S)
ROWS = [line for line in PAGE.splitlines() if line.startswith("| ")][1:]
# The list of the plans (indicators.md, "The systems the plans name"): what a row's first cell must say.
SYSTEMS = {
    "HIS": r"\bHIS\b",
    "EMR": r"\bEMR\b.*bệnh án điện tử",
    "e-invoice as files": r"Hóa đơn điện tử.*XML",
    "Viettel": "Viettel",
    "VNPT": "VNPT",
    "MISA meInvoice": "MISA meInvoice",
    "Bkav": "Bkav",
    "FPT": "FPT",
    "cashless": r"không tiền mặt.*POS.*QR.*ví.*ngân hàng",
    "electronic health record": r"Hồ sơ sức khỏe điện tử.*VNeID",
    "check-in": r"CCCD.*VNeID.*VssID",
    "kiosk and queue numbers": r"KIOSK.*số thứ tự",
    "BHYT gateway": r"BHYT.*4210.*4750.*3176",
    "digital signature": "Ký số",
    "document system": "quản lý văn bản và điều hành",
    "one-stop and portal": r"Một cửa.*dịch vụ công quốc gia",
    "sharing axis": r"LGSP.*NGSP",
    "telemedicine": "telemedicine",
    "satisfaction surveys": "Khảo sát hài lòng",
    "commune stations": "trạm y tế xã",
    "finance": r"MISA kế toán.*dvc\.vst\.mof\.gov\.vn",
    "website": r"Trang thông tin điện tử.*công khai",
}


def cells(row: str) -> list[str]:
    return [cell.strip() for cell in row.strip("|").split(" | ")]


def anchors() -> set[str]:
    """The addresses of the page's headings, as forges make them."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```$", "", PAGE, flags=re.M | re.S), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def write_named_files(directory: Path, text: str) -> None:
    """Every file that the configuration names, with what such a file holds."""
    for key, name in re.findall(r'^(\w+_file) = "(.+)"$', text, re.M):
        (directory / name).write_text(CONTENT.get(key, SECRET), "utf-8")


@pytest.mark.parametrize("system", SYSTEMS)
def test_every_system_that_the_plans_name_has_one_row_with_a_way_in_or_the_reason_why_not(system: str) -> None:
    [row] = [row for row in ROWS if re.search(SYSTEMS[system], cells(row)[0])]
    _, way, measures = cells(row)
    assert re.search(r"\[`\w+\.\w+`\]\(#|[Kk]hông đếm được tự động, vì ", way)
    named = re.findall(r"`(\w+)`", measures)
    assert named and [measure for measure in named if measure not in catalogue.load().measures] == []


def test_every_row_is_of_a_system_of_the_list() -> None:
    assert [row for row in ROWS if not any(re.search(words, cells(row)[0]) for words in SYSTEMS.values())] == []


def test_every_link_within_the_page_leads_to_a_heading() -> None:
    assert set(re.findall(r"\]\(#([^)]+)\)", PAGE)) - anchors() == set()


@pytest.mark.parametrize("kind", kinds())
def test_every_kind_has_a_row_a_heading_and_a_worked_configuration(kind: str) -> None:
    assert any(f"`{kind}`" in row for row in ROWS)
    section = re.search(rf"^## {re.escape(kind)}\n(.*?)(?=^## |\Z)", PAGE, re.M | re.S)
    assert section is not None
    assert f'kind = "{kind}"' in section.group(1)
    assert f"`{kind}`" in (ROOT / "adapters" / "README.md").read_text("utf-8")


@pytest.mark.slow
@pytest.mark.parametrize("block", BLOCKS, ids=lambda text: "+".join(re.findall(r"\[sources\.(\w+)\]", text)))
def test_every_configuration_of_the_page_is_accepted_as_it_stands(block: str, tmp_path: Path) -> None:
    write_named_files(tmp_path, block)
    (tmp_path / "agent.toml").write_text(block, "utf-8")
    settings = load(tmp_path / "agent.toml")
    described: dict[str, Any] = dict(describe(settings, catalogue.load()))
    assert described.keys() == {source.name for source in settings.sources}
    assert all(one.measures for one in described.values())
    # a table's own choice is what it counts
    for source in settings.sources:
        assert source.config.measures is None or set(described[source.name].measures) == set(source.config.measures)
