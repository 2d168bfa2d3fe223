"""A small province as its people see it in the portal: believable figures of four months, everything in it invented."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from pathlib import Path
from random import Random

import httpx
from fastapi import FastAPI

from collector import confirm
from collector.access import Speaker
from collector.parts import Parts
from collector.people import Session
from collector.store import lasting, registry
from collector.store import people as stored
from collector.store.people import Person
from collector.store.registry import Facility
from contract.days import LOCAL, local_day, now
from tests.office import Office, a_source, a_tally, serving

OWN, OTHER = "12001", "12004"
"""The hospital whose people confirm, and one that is none of their business."""
SILENT, NEW = "12008", "12009"
"""Has not been read for two days; has never spoken."""
DIRECTOR = Person("giamdoc.bvt", "confirmer", OWN, "Hoàng Thị Mai Lan", "lan.ht@bvt.example.vn")
CLERK = Person("cntt.bvt", "reader", OWN, "Lò Văn Phúc")
OTHER_DIRECTOR = Person("giamdoc.pt", "confirmer", OTHER, "Vàng A Páo")
OFFICER = Person("kehoach.so", "reader", None, "Nguyễn Đức Thịnh")
ADMIN = Person("quantri.so", "admin", None, "Trần Thị Ngọc Ánh")
PEOPLE = (DIRECTOR, CLERK, OTHER_DIRECTOR, OFFICER, ADMIN)
PASSWORD = "mùa xuân hoa mận nở trắng"
_DAYS = 160  # four closed months and the one before them, whatever today is

# id, name, level, ownership, area, about how many visits a day, how far digital (0 … 1) at first and now
_FACILITIES = (
    ("12001", "Bệnh viện Đa khoa tỉnh", "province", "public", "Phường Tân Phong", 420, 0.80, 0.97),
    ("12002", "Bệnh viện Y học cổ truyền", "province", "public", "Phường Tân Phong", 90, 0.60, 0.93),
    ("12003", "Bệnh viện Đa khoa Thiện Tâm", "province", "private", "Phường Đoàn Kết", 160, 0.90, 0.98),
    ("12004", "Trung tâm Y tế khu vực Phong Thổ", "regional", "public", "Xã Phong Thổ", 130, 0.45, 0.66),
    ("12005", "Trung tâm Y tế khu vực Đông Pao", "regional", "public", "Xã Bản Bo", 75, 0.50, 0.88),
    ("12006", "Trung tâm Y tế khu vực Than Uyên", "regional", "public", "Xã Than Uyên", 150, 0.55, 0.31),
    ("12007", "Trung tâm Y tế khu vực Tam Đường", "regional", "public", "Xã Tam Đường", 110, 0.62, 0.95),
    ("12008", "Trung tâm Y tế khu vực Sìn Hồ", "regional", "public", "Xã Sìn Hồ", 60, 0.40, 0.52),
    ("12009", "Trạm Y tế xã Bình Lư", "commune_station", "public", "Xã Bình Lư", 0, 0.0, 0.0),
)
# measure → (cases for each visit, what adopting adds to the categories, the rest)
_MEASURES: Mapping[str, tuple[float, Mapping[str, float], Mapping[str, float]]] = {
    "checkins_insured": (0.9, {"cccd_qr": 0.3, "cccd_chip": 0.5, "vneid": 0.2}, {"insurance_card": 0.7, "manual": 0.3}),
    "checkin_channels": (1.0, {"kiosk": 0.8, "app": 0.2}, {"counter": 1.0}),
    "records": (0.25, {"electronic": 1.0}, {"paper": 0.8, "hybrid": 0.2}),
    "record_documents": (2.0, {"signed": 1.0}, {"waiting": 0.7, "scanned": 0.3}),
    "payments": (0.8, {"qr": 0.55, "transfer": 0.25, "card": 0.2}, {"cash": 1.0}),
    "receipts": (0.8, {"invoiced": 1.0}, {"not_invoiced": 1.0}),
    "health_records": (0.9, {"accepted": 1.0}, {"sent": 0.6, "rejected": 0.1, "unsent": 0.3}),
    "prescriptions": (0.7, {"electronic": 1.0}, {"paper": 1.0}),
}
_HELD = ("emr", "digital_checkin", "cashless", "einvoice", "health_record")
_PLAN = """
issuer = "Ủy ban nhân dân tỉnh"
title = "Kế hoạch chuyển đổi số ngành y tế năm {year}"
short = "Kế hoạch số 12/KH-UBND"
number = "12/KH-UBND"
first_day = {year}-01-01
last_day = {year}-12-31
in_force_until = {next}-12-31
[[targets]]
indicator = "emr"
ratio = 0.95
section = "II.7"
words = "Ít nhất 95% hồ sơ bệnh án là bệnh án điện tử."
[[targets]]
indicator = "digital_checkin"
ratio = 0.90
section = "II.7"
words = "90% lượt người bệnh BHYT đến khám dùng căn cước công dân gắn chíp hoặc VNeID."
[[targets]]
indicator = "cashless"
ratio = 0.50
section = "II.8"
words = "50% lần nộp viện phí không dùng tiền mặt."
[[targets]]
indicator = "einvoice"
ratio = 0.95
section = "II.8"
words = "95% lần thu viện phí có hóa đơn điện tử."
[[targets]]
indicator = "health_record"
ratio = 0.90
section = "II.7"
words = "90% người dân đến khám bệnh, chữa bệnh được lập hồ sơ sức khỏe điện tử."
[[manual]]
code = "inspected_units"
vi = "Đơn vị được kiểm tra công tác cải cách hành chính"
en = "Units whose administrative reform was inspected"
unit = "percent"
value = 20
section = "I.2"
words = "Kiểm tra tối thiểu 20% số đơn vị trực thuộc."
"""


@dataclass(eq=False)
class Province:
    """A collector that listens at `url`, with everything in it that the pages show."""

    office: Office
    app: FastAPI
    url: str
    today: date
    months: tuple[str, str]
    """The two closed months that hospitals are asked to confirm, the older first."""
    speakers: Mapping[str, Speaker]

    def months_before(self, count: int) -> str:
        """The month `count` before the running one, `yyyy-mm`: those that a test may have to itself."""
        months = self.today.year * 12 + self.today.month - 1 - count
        return f"{months // 12}-{months % 12 + 1:02}"

    def enter(self, who: Person) -> Session:
        """A session of somebody, without the cost of a password."""
        with self.office.store.read() as connection:
            account = stored.named(connection, who.name)
        return self.office.people.open(account, now())

    def confirm(self, who: Person, period: str) -> None:
        """The month of somebody's hospital is signed."""
        assert who.facility is not None
        parts: Parts = self.app.state.parts
        rules, moment = parts.settings.confirmation, now()
        with self.office.store.read() as connection:
            person = stored.named(connection, who.name).person
            _, shown = confirm.look(connection, parts.yardstick, rules, who.facility, period, moment)
        asked = confirm.Asked(facility=who.facility, period=period, digest=shown.digest, decision="confirm")
        confirm.sign(self.office.store, parts.yardstick, rules, person, asked, moment)

    def correct(self, facility: str, period: str, measure: str = "records") -> None:
        """A late correction: on ten days of the month a third of what was digital was not."""
        days = list(confirm.days_of(period))[5:15]
        held = {day: row for (one, _, day), row in self.office.stored(measure).items() if one == facility}
        adopted, other = (next(iter(part)) for part in _MEASURES[measure][1:])
        sent = []
        for day in days:
            counts = json.loads(held[day].counts)
            moved = counts.get(adopted, 0) // 3
            counts |= {adopted: counts.get(adopted, 0) - moved, other: counts.get(other, 0) + moved}
            sent.append(a_tally(day, held[day].revision + 1, counts, facility=facility, measure=measure))
        ack = self.office.push(
            self.speakers[facility], sent, [self.source(facility)], at=now(), sent_at=now().isoformat()
        )
        assert ack.accepted == len(sent)

    def facilities(self) -> list[Facility]:
        """All that are registered."""
        with self.office.store.read() as connection:
            return registry.facilities(connection)

    def source(self, facility: str) -> dict[str, object]:
        """What the agent says of the HIS of a facility."""
        return _source(facility, now())


@contextmanager
def province(directory: Path) -> Iterator[Province]:
    """Everything is there when it begins to listen."""
    office = Office(f"sqlite:///{directory / 'collector.sqlite'}", directory)
    moment = now()
    today = local_day(moment)
    since = datetime.combine(today - timedelta(days=_DAYS + 200), time(8), LOCAL)
    speakers = {}
    for id_, name, level, ownership, area, visits, first, last in _FACILITIES:
        office.register(id_, at=since, name=name, level=level, ownership=ownership, area=area)
        if visits:
            speakers[id_] = office.speaker(id_)
            _fill(office, speakers[id_], id_, today, (visits, first, last))
    for one in PEOPLE:
        office.people.add(one, moment)
    first_password = office.people.first_password(DIRECTOR.name, moment)
    session = office.people.log_in(DIRECTOR.name, first_password, moment)
    office.people.choose_password(session, first_password, PASSWORD, moment)
    long_since = {one: dict.fromkeys(_HELD, moment - timedelta(days=58)) for one in (OTHER, "12006", SILENT)}
    with office.store.write() as connection:
        lasting.save_below(connection, long_since, {})
    plan = directory / "ke-hoach-12.toml"
    plan.write_text(_PLAN.format(year=today.year, next=today.year + 1), "utf-8")
    app = office.app(plan_files=(plan,), metrics_token="doc-metrics")
    with serving(app) as http:
        _alert(http, moment)
        months = confirm.closed(moment)
        yield Province(office, app, str(http.base_url).rstrip("/"), today, (months[0], months[1]), speakers)
    office.store.close()


def _source(facility: str, moment: datetime) -> dict[str, object]:
    report = a_source(facilities=[facility], measures=list(_MEASURES), read_at=moment.isoformat(), kind="his.sql")
    if facility == SILENT:
        away = moment - timedelta(hours=50)
        report |= {"ok": False, "read_at": away.isoformat(), "since": away.isoformat()}
        report["error"] = "máy chủ cơ sở dữ liệu không trả lời"
    if facility == OTHER:
        report["unmapped"] = {facility: {"payments": {"VI_MOI": 212}}}
        report["unmapped_cases"] = {facility: {"payments": 212}}
    return report


def _fill(office: Office, speaker: Speaker, facility: str, today: date, life: tuple[int, float, float]) -> None:
    visits, first, last = life
    chance = Random(facility)
    newest = 2 if facility == SILENT else 0
    days = [today - timedelta(days=n) for n in range(newest, _DAYS)]
    sent = []
    for day in days:
        done = 1 - (today - day).days / _DAYS
        adopted = first + (last - first) * done
        pace = {5: 0.55, 6: 0.25}.get(day.weekday(), 1.0)
        for measure, (per_visit, new, old) in _MEASURES.items():
            total = round(visits * per_visit * pace * chance.uniform(0.85, 1.15))
            share = adopted * (0.55 if measure in ("payments", "checkin_channels") else 1.0)
            digital = round(total * min(1.0, max(0.0, share + chance.gauss(0, 0.015))))
            counts = _spread(digital, new) | _spread(total - digital, old)
            if facility == OTHER and measure == "payments":
                counts["unknown"] = round(total * 0.06)
            sent.append(a_tally(day, 1, counts, facility=facility, measure=measure))
    ack = office.push(speaker, sent, [_source(facility, now())], at=now(), sent_at=now().isoformat())
    assert ack.accepted == len(sent), ack.refused[:3]


def _spread(total: int, weights: Mapping[str, float]) -> dict[str, int]:
    """`total` over the categories; what rounding leaves goes to the first."""
    counts = {name: int(total * weight / sum(weights.values())) for name, weight in weights.items()}
    counts[next(iter(counts))] += total - sum(counts.values())
    return {name: count for name, count in counts.items() if count}


def _alert(http: httpx.Client, moment: datetime) -> None:
    """What Alertmanager has told: one hospital below its target, one that is silent."""
    said = [
        {
            "status": "firing",
            "fingerprint": f"a{facility}",
            "labels": {"alertname": name, "severity": "warning", "facility": facility, **more},
            "annotations": {"summary": summary, "description": description},
            "startsAt": (moment - timedelta(days=2)).isoformat(),
        }
        for facility, name, more, summary, description in (
            (
                "12006", "IndicatorBelowTarget", {"indicator": "emr"},
                "Trung tâm Y tế khu vực Than Uyên chưa đạt chỉ tiêu bệnh án điện tử",
                "Trong 30 ngày qua tỷ lệ thấp hơn chỉ tiêu 95 % của Kế hoạch số 12/KH-UBND.",
            ),
            (
                SILENT, "SourceDown", {"source": "his"},
                "Trung tâm Y tế khu vực Sìn Hồ: không đọc được nguồn his",
                "Máy chủ cơ sở dữ liệu không trả lời từ hai ngày nay.",
            ),
        )
    ]  # fmt: skip
    http.post("/api/v1/alerts", json={"version": "4", "alerts": said}).raise_for_status()
