"""Codes turned into the words that people read: Grafana's value mappings."""

from collections.abc import Mapping

from contract import facility, findings
from contract.catalogue import UNKNOWN, Catalogue
from contract.verdict import Verdict
from dashboards.boards.sdk import models

NOTHING = "Chưa có số liệu"
ABSENT = "–"
PERIODS = "Chỉ số tính theo quý hoặc năm thì lấy quý, năm gần nhất có số liệu. "
"""Beside every "30 ngày" that stands for all indicators (architecture.md, "Windows")."""
LEVELS = {code: one.vi for code, one in facility.LEVELS.items()}
OWNERSHIPS = {code: one.vi for code, one in facility.OWNERSHIPS.items()}
ALERTS = {
    "IndicatorBelowTarget": "Chưa đạt chỉ tiêu",
    "IndicatorFalling": "Tỷ lệ giảm mạnh",
    "OffTheRoad": "Chậm so với lộ trình",
    "FacilitySilent": "Cơ sở không gửi số liệu",
    "SourceDown": "Không đọc được nguồn",
    "SourceStandsStill": "Nguồn đứng yên",
    "AgentWaitingGrows": "Số liệu chờ gửi tăng dần",
    "AgentClockSkewed": "Đồng hồ máy sai giờ",
    "CategoriesUnmapped": "Nhiều giá trị chưa khai báo",
    "DataQualityFinding": "Số liệu có điểm bất thường",
    "ConfirmationOverdue": "Quá hạn xác nhận",
    "CollectorDown": "Máy chủ thu thập ngừng",
    "LoopDead": "Việc nền ngừng chạy",
}
KINDS = {
    "his.sql": "HIS (cơ sở dữ liệu)",
    "his.bhyt_xml": "Tệp XML gửi giám định BHYT",
    "emr.sql": "Bệnh án điện tử (cơ sở dữ liệu)",
    "emr.fhir": "Bệnh án điện tử (FHIR)",
    "einvoice.xml": "Hóa đơn điện tử (tệp XML)",
    "einvoice.viettel": "Hóa đơn điện tử Viettel",
    "einvoice.vnpt": "Hóa đơn điện tử VNPT",
    "einvoice.misa": "Hóa đơn điện tử MISA",
    "einvoice.bkav": "Hóa đơn điện tử Bkav",
    "einvoice.fpt": "Hóa đơn điện tử FPT",
    "office.sql": "Quản lý văn bản (cơ sở dữ liệu)",
    "survey.sql": "Khảo sát hài lòng (cơ sở dữ liệu)",
    "sheet.file": "Bảng tính (tệp)",
    "sheet.upload": "Bảng tính nộp trên cổng",
}
"""The kinds of sources, by the names that adapters and the portal give them."""
UNITS = {"cases": "số trường hợp", "facilities": "số cơ sở"}
SEVERITIES = {"critical": "Nghiêm trọng", "warning": "Cảnh báo", "info": "Thông tin"}
CONFIRMATIONS = {
    "open": "Chờ xác nhận",
    "confirmed": "Đã xác nhận",
    "disputed": "Cơ sở có ý kiến",
    "reopened": "Mở lại",
}
FINDINGS = {code: words.vi for code, words in findings.WORDS.items()}
GOOD, NEAR, BAD = Verdict.MET.colour, Verdict.NEAR.colour, Verdict.BELOW.colour
GREY = Verdict.NO_DATA.colour
SEVERITY_COLOURS = {"critical": BAD, "warning": NEAR, "info": GREY}
CONFIRMATION_COLOURS = {"open": GREY, "confirmed": GOOD, "disputed": BAD, "reopened": NEAR}

Mappings = list[models.ValueMapping]


def mapping(words: Mapping[str, str], colours: Mapping[str, str] | None = None) -> Mappings:
    """Each code as its word, and its colour when it has one."""
    results = {
        code: models.ValueMappingResult(text=word, color=(colours or {}).get(code), index=place)
        for place, (code, word) in enumerate(words.items())
    }
    return [models.ValueMap(results)]


def absent() -> Mappings:
    """A cell without a value: never 0, never blank, and not what an empty table says."""
    nothing = models.ValueMappingResult(text=ABSENT)
    matches = (models.SpecialValueMatch.NULL_AND_NAN, models.SpecialValueMatch.EMPTY)
    return [
        models.SpecialValueMap(models.DashboardSpecialValueMapOptions(match=one, result=nothing)) for one in matches
    ]


def verdicts() -> Mappings:
    """The numbers of nhipso_indicator_verdict as word and colour."""
    return mapping({str(int(one)): one.vi for one in Verdict}, {str(int(one)): one.colour for one in Verdict})


def months() -> Mappings:
    """2026-10 as 10/2026."""
    text = models.ValueMappingResult(text="$2/$1")
    options = models.DashboardRegexMapOptions(pattern=r"/^(\d{4})-(\d\d)$/", result=text)
    return [models.RegexMap(options)]


def yes_or_no(yes: str, no: str) -> Mappings:
    """1 and 0 as words, 0 being the one to act on."""
    return mapping({"1": yes, "0": no}, {"1": GOOD, "0": BAD})


def indicators(catalogue: Catalogue) -> dict[str, str]:
    """Code → name, in the order in which people should see them."""
    return {code: one.vi for code, one in catalogue.indicators.items()}


def measures(catalogue: Catalogue) -> dict[str, str]:
    """Code → name."""
    return {code: one.vi for code, one in catalogue.measures.items()}


def categories(catalogue: Catalogue) -> dict[str, str]:
    """`measure/category` → name: the same code may mean something else in another measure."""
    unknown = Verdict.UNKNOWN.vi
    return {
        f"{code}/{category}": name
        for code, measure in catalogue.measures.items()
        for category, name in [*((key, one.vi) for key, one in measure.categories.items()), (UNKNOWN, unknown)]
    }


def hours(number: float) -> str:
    """A number of hours: "24 giờ"."""
    return f"{number:g} giờ".replace(".", ",")
