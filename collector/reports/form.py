"""The form of an administrative document (Nghị định 30/2020/NĐ-CP, Phụ lục I): measures and fixed words."""

from collector.letterhead import BLANK
from collector.reports.blocks import Report
from collector.typography import NBSP, long_day

NATION = "CỘNG HÒA XÃ HỘI CHỦ NGHĨA VIỆT NAM"
MOTTO = "Độc lập - Tự do - Hạnh phúc"
# millimetres of A4
WIDTH, HEIGHT = 210, 297
TOP, BOTTOM, LEFT, RIGHT = 20, 20, 30, 15
# points
TEXT, SMALL, TABLE, RECIPIENTS = 14, 12, 12, 11


def number_line(report: Report) -> str:
    """`Số: …/BC-SYT`; the number is given when the document is registered."""
    return f"Số:{NBSP}{BLANK}/{report.letterhead.number_suffix}"


def dated(report: Report) -> str:
    """`Hà Tĩnh, ngày 05 tháng 11 năm 2026`."""
    return f"{report.letterhead.place}, {long_day(report.drawn_up)}"


def attached(report: Report) -> str:
    """What stands beneath the title of an annex."""
    of = f"{BLANK}/{report.letterhead.number_suffix} {long_day(report.drawn_up)}"
    return f"(Kèm theo Báo cáo số {of} của {report.letterhead.issuer})"


def recipients(report: Report) -> list[str]:
    """The lines beneath “Nơi nhận:”: each ends with a semicolon, the last with a full stop."""
    names = report.letterhead.recipients
    return [f"- {name.rstrip(';.')}{'.' if place == len(names) else ';'}" for place, name in enumerate(names, 1)]
