"""A hospital's people in a browser: log in, read, dispute, confirm, print; by mouse, on a phone, by keyboard alone."""

import subprocess
from pathlib import Path

import pytest
from playwright.sync_api import Locator, expect
from playwright.sync_api import Page as BrowserPage

from conftest import program
from tests.browser.conftest import Visitor
from tests.browser.province import DIRECTOR, OFFICER, OWN, PASSWORD, Province
from tests.browser.visiting import Screen, Visit

pytestmark = pytest.mark.slow
REASON = "Từ ngày 12 đến ngày 14 mất điện, khoa Nội làm bệnh án giấy rồi mới chuyển sang điện tử."
EMR, CASHLESS = "Bệnh án điện tử thay bệnh án giấy", "Lần thu không dùng tiền mặt"


def month_name(period: str) -> str:
    """`10/2026`."""
    return f"{period[5:]}/{period[:4]}"


def row(page: BrowserPage, indicator: str) -> Locator:
    """The row of an indicator among the figures to be signed."""
    return page.locator("form tbody tr, table tbody tr").filter(has=page.get_by_role("rowheader", name=indicator)).last


def answer_all(page: BrowserPage, wrong: str = "") -> None:
    """Every figure is right but the one that is not."""
    for one in page.locator("form tbody tr").all():
        is_wrong = bool(wrong) and wrong in one.inner_text()
        one.get_by_label("Chưa đúng" if is_wrong else "Đúng", exact=True).check()


@pytest.mark.parametrize(("screen", "script"), [("desktop", True), ("phone", False)])
def test_a_director_logs_in_reads_disputes_one_figure_confirms_the_rest_and_prints(
    visit: Visitor, province: Province, tmp_path: Path, screen: Screen, script: bool
) -> None:
    period = province.months_before(1 if screen == "desktop" else 4)
    visitor = visit(None, screen, script)
    log_in(visitor)
    page = visitor.page
    expect(page.locator(".lead")).to_contain_text("chỉ số có chỉ tiêu đã đạt")
    page.get_by_role("link", name="Xác nhận tháng").first.click()
    page.locator("main").get_by_role("link", name=month_name(period)).first.click()
    expect(page.locator(".lead")).to_contain_text("chưa được xác nhận")
    # a figure that is said to be wrong wants a reason, and what was filled in stays
    answer_all(page, wrong=CASHLESS)
    page.get_by_role("button", name="Gửi ý kiến: có số chưa đúng").click()
    expect(page.get_by_role("alert")).to_contain_text(CASHLESS)
    visitor.forgive("400")
    disputed = row(page, CASHLESS)
    expect(disputed.get_by_label("Chưa đúng", exact=True)).to_be_checked()
    disputed.get_by_role("textbox").fill(REASON)
    page.get_by_role("button", name="Gửi ý kiến: có số chưa đúng").click()
    expect(page.get_by_role("status")).to_contain_text("Đã gửi ý kiến đến Sở")
    expect(row(page, CASHLESS)).to_contain_text(REASON)
    # the Sở reads the reason
    officer = visit(OFFICER, screen, script)
    officer.go(f"/confirmations?month={period}&state=disputed")
    officer.page.get_by_role("link", name="Bệnh viện Đa khoa tỉnh").click()
    expect(officer.page.locator("main")).to_contain_text(REASON)
    # later the figure is accepted after all
    answer_all(page)
    page.get_by_role("button", name="Xác nhận số liệu").click()
    expect(page.get_by_role("status")).to_contain_text("xác nhận và khóa")
    expect(page.get_by_role("button", name="Xác nhận số liệu")).to_have_count(0)
    text = printed(page, tmp_path)
    assert month_name(period) in text and "Hoàng Thị Mai Lan" in text and EMR in text
    assert "Đăng xuất" not in text and "Tải phiếu" not in text
    sheet = download(page, "Tải phiếu PDF", tmp_path)
    assert sheet.suffix == ".pdf" and "PHIẾU XÁC NHẬN" in text_of(sheet).upper()


def test_a_late_correction_reopens_the_month_and_shows_before_and_after(visit: Visitor, province: Province) -> None:
    period = province.months[0]
    visitor = visit(DIRECTOR)
    page = visitor.page
    address = f"/facilities/{OWN}/confirmations/{period}"
    visitor.go(address)
    before = row(page, EMR).locator("td").first.inner_text().split("%")[0].strip()
    answer_all(page)
    page.get_by_role("button", name="Xác nhận số liệu").click()
    expect(page.get_by_role("status")).to_contain_text("khóa")
    province.correct(OWN, period)
    visitor.go(address)
    expect(page.locator(".lead")).to_contain_text("được mở lại")
    changed = page.locator("tr", has=page.get_by_role("rowheader", name=EMR)).first
    after = row(page, EMR).locator("td").first.inner_text().split("%")[0].strip()
    assert before != after
    expect(changed).to_contain_text(before)
    expect(changed).to_contain_text(after)
    officer = visit(OFFICER)
    officer.go(f"/confirmations?month={period}&state=reopened")
    expect(officer.page.locator("tbody")).to_contain_text("Bệnh viện Đa khoa tỉnh")
    assert visitor.faults() == []
    # and it is signed again
    answer_all(page)
    page.get_by_role("button", name="Xác nhận số liệu").click()
    expect(page.locator(".lead")).to_contain_text("Đã xác nhận")


def test_the_keyboard_alone_leads_from_the_login_to_a_confirmed_month(visit: Visitor, province: Province) -> None:
    visitor = visit(None)
    page, keys = visitor.page, visitor.page.keyboard
    visitor.go("/login")
    expect(page.get_by_label("Tên đăng nhập")).to_be_focused()
    keys.type(DIRECTOR.name)
    keys.press("Tab")
    keys.insert_text(PASSWORD)  # as an input method for Vietnamese does
    expect(page.get_by_label("Tên đăng nhập")).to_have_value(DIRECTOR.name)
    keys.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text("Bệnh viện Đa khoa tỉnh")
    visitor.tab_to("Đến nội dung chính", 1)
    visitor.tab_to("Xác nhận tháng")
    keys.press("Enter")
    page.wait_for_url("**/confirmations**")
    visitor.tab_to(month_name(province.months_before(3)))
    keys.press("Enter")
    expect(page.locator(".lead")).to_contain_text("chưa được xác nhận")
    # a group of choices is one stop: space takes the first, Tab goes on
    for _ in page.locator("form tbody tr").all():
        visitor.tab_to("Đúng")
        keys.press("Space")
    visitor.tab_to("Xác nhận số liệu")
    keys.press("Enter")
    expect(page.get_by_role("status")).to_contain_text("khóa")


def log_in(visit: Visit) -> None:
    """By the form."""
    visit.go("/login")
    page = visit.page
    page.get_by_label("Tên đăng nhập").fill(DIRECTOR.name)
    page.get_by_label("Mật khẩu").fill("sai mật khẩu")
    page.get_by_role("button", name="Đăng nhập", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("không đúng")
    visit.forgive("401")
    page.get_by_label("Mật khẩu").fill(PASSWORD)
    page.get_by_role("button", name="Đăng nhập", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Bệnh viện Đa khoa tỉnh")


def printed(page: BrowserPage, directory: Path) -> str:
    """What the page is on paper."""
    file = directory / "printed.pdf"
    page.pdf(path=file, format="A4")
    return text_of(file)


def download(page: BrowserPage, words: str, directory: Path) -> Path:
    """The file behind a link."""
    with page.expect_download() as waiting:
        page.get_by_role("link", name=words).click()
    file = directory / waiting.value.suggested_filename
    waiting.value.save_as(file)
    return file


def text_of(file: Path) -> str:
    done = subprocess.run([program("pdftotext"), "-layout", str(file), "-"], capture_output=True, text=True, check=True)
    return " ".join(done.stdout.split())
