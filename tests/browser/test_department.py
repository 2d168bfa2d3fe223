"""The Sở's people in a browser: the worst three in two clicks, and the official report."""

import time
from pathlib import Path

import pytest
from docx import Document
from playwright.sync_api import expect

from tests.browser.conftest import Visitor
from tests.browser.province import OFFICER, Province
from tests.browser.visiting import Screen

pytestmark = pytest.mark.slow
WORST = ["Trung tâm Y tế khu vực Than Uyên", "Trung tâm Y tế khu vực Sìn Hồ", "Trung tâm Y tế khu vực Phong Thổ"]


@pytest.mark.parametrize(("screen", "script"), [("desktop", True), ("desktop", False), ("phone", False)])
def test_an_officer_finds_the_three_worst_in_two_clicks(visit: Visitor, screen: Screen, script: bool) -> None:
    visitor = visit(OFFICER, screen, script)
    visitor.go("/?order=name")
    page = visitor.page
    if screen == "desktop":
        page.get_by_role("link", name="Lần thu không dùng tiền mặt", exact=True).click()
        expect(page.locator("caption")).to_contain_text("thấp nhất ở “Lần thu không dùng tiền mặt” trước")
    else:
        visitor.go("/")  # cards have no headings to click: the worst are first from the beginning
    names = [one.inner_text() for one in page.locator("tbody th a").all()]
    assert names[:3] == WORST
    page.get_by_role("link", name=WORST[0]).click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(WORST[0])


def test_an_officer_has_the_quarters_report_made_and_downloads_it(
    visit: Visitor, province: Province, tmp_path: Path
) -> None:
    visitor = visit(OFFICER, script=False)
    page = visitor.page
    visitor.go("/")
    page.get_by_role("link", name="Báo cáo", exact=True).click()
    quarter = page.get_by_label("Kỳ báo cáo").locator("optgroup[label=Quý] option").nth(1).get_attribute("value")
    page.get_by_label("Kỳ báo cáo").select_option(quarter)
    page.get_by_role("button", name="Lập báo cáo").click()
    link = page.get_by_role("link", name="Tải tệp")
    deadline = time.monotonic() + 60
    while not link.count() and time.monotonic() < deadline:
        page.wait_for_timeout(200)
        page.reload()  # the page does so by itself, more slowly
    with page.expect_download() as waiting:
        link.click()
    file = tmp_path / waiting.value.suggested_filename
    waiting.value.save_as(file)
    assert file.suffix == ".docx"
    document = Document(str(file))
    text = " ".join(one.text for one in document.paragraphs)
    cells = " ".join(cell.text for table in document.tables for row in table.rows for cell in row.cells)
    assert "CỘNG HÒA XÃ HỘI CHỦ NGHĨA VIỆT NAM" in cells + text
    assert all(name in text + cells for name in WORST)
