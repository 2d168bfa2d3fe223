"""What the fixture of a schema holds: rows for every table, with a value in every column somewhere.

Only what `make` reads when a fixture is made: a fixture that is checked in is never made again.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

from collector.access import hashed
from contract.days import LOCAL

TOKEN, PERSON_TOKEN = "a1b2c3d4e5.bi-mat-cua-agent", "bi-mat-cua-an"
"""What the agent and An show; the store has only their hashes."""
STORE_ID = "0123456789abcdef"
DAY = date(2026, 10, 9)
AT = datetime(2026, 11, 2, 9, 30, 15, 123456, tzinfo=LOCAL)
_DAYS = [date(2026, 10, day) for day in range(1, 32)]
_FIGURES = (
    '{"cashless":{"adopted":["card","qr","transfer","wallet"],"denominator":310,"excluded":[],"expected":29,'
    '"first":"2026-10-01","last":"2026-10-31","measure":"payments","numerator":155,"percent":"50.0","present":29,'
    '"tallies":"2cb9b1a029850665a237cc6799fc8976073d4b32d4f1d104435005885646dc40","target":null,"unknown":0,'
    '"verdict":"no_target"}}'
)

ROWS: Mapping[str, Sequence[Mapping[str, Any]]] = {
    "meta": [{"name": "store_id", "value": STORE_ID}],
    "facility": [
        {
            "id": "12001",
            "name": "Bệnh viện Đa khoa tỉnh",
            "level": "province",
            "ownership": "public",
            "area": "Thành phố",
            "email": "cntt@example.vn",
            "active_from": date(2020, 1, 1),
            "active_to": None,
            "indicators": '["cashless","kiosk"]',
            "registered_at": AT,
            "last_push_at": AT,
            "change": 7,
            "past_change": 5,
        },
        {
            "id": "12002",
            "name": "Trạm Y tế cũ",
            "level": "commune_station",
            "ownership": "public",
            "area": "Mường Tè",
            "email": "",
            "active_from": None,
            "active_to": date(2026, 6, 30),
            "indicators": None,
            "registered_at": AT,
            "last_push_at": None,
            "change": 0,
            "past_change": 0,
            "merged_into": "12001",
            "merged_on": date(2026, 7, 1),
            "merged_part": "tram-cu",
        },
    ],
    "facility_code": [{"facility": "12001", "code": "12901", "valid_from": date(2020, 1, 1), "valid_to": DAY}],
    "pause": [
        {"id": 3, "facility": "12001", "first_day": DAY, "last_day": date(2026, 10, 10), "reason": "chuyển máy chủ"}
    ],
    "agent": [
        {
            "id": "a1b2c3d4e5",
            "created_at": AT,
            "version": "0.1.0",
            "last_push_at": AT,
            "skew_seconds": -1.5,
            "waiting": 3,
            "parked": 1,
        }
    ],
    "agent_facility": [{"agent": "a1b2c3d4e5", "facility": "12001"}],
    "token": [
        {"hash": hashed(TOKEN), "agent": "a1b2c3d4e5", "created_at": AT, "used_at": AT, "revoked_at": None},
        {"hash": hashed("cũ"), "agent": "a1b2c3d4e5", "created_at": AT, "used_at": None, "revoked_at": AT},
    ],
    "enrolment_code": [
        {
            "hash": hashed("mã"),
            "agent": "a1b2c3d4e5",
            "facilities": '["12001"]',
            "created_at": AT,
            "expires_at": AT,
            "used_at": AT,
        }
    ],
    "person": [
        {
            "id": 5,
            "name": "an",
            "role": "confirmer",
            "facility": "12001",
            "token_hash": hashed(PERSON_TOKEN),
            "created_at": AT,
            "full_name": "Nguyễn An",
            "email": "an@example.vn",
            "must_change": True,
            "password_hash": "$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA",
            "failures": 2,
            "locked_until": AT,
            "disabled_at": None,
            "subject": "sso-an",
        },
        {"id": 6, "name": "binh", "role": "reader", "facility": None, "created_at": AT, "disabled_at": AT},
    ],
    "session": [{"hash": hashed("phiên"), "person": 5, "created_at": AT, "seen_at": AT}],
    "audit": [
        {
            "id": 2,
            "at": AT,
            "person": "an",
            "action": "login",
            "facility": "12001",
            "subject": "an",
            "before": '{"x":1}',
            "after": '{"x":2}',
        }
    ],
    "source": [
        {
            "id": 4,
            "facility": "12001",
            "name": "his",
            "agent": "a1b2c3d4e5",
            "kind": "his.sql",
            "role": "count",
            "part": "inpatient",
            "cadence": "daily",
            "first_day": date(2026, 1, 1),
            "last_day": None,
            "in_roster": True,
            "ok": False,
            "read_at": AT,
            "newest_day": _DAYS[-1],
            "since": AT,
            "error": "không tới được",
            "failed": '{"checkins":null}',
            "unmapped": '{"payments":{"VI_MOI":12}}',
            "unmapped_cases": '{"payments":12}',
        },
        {"id": 5, "facility": "12001", "name": "cu", "agent": "a1b2c3d4e5", "last_day": DAY, "in_roster": False},
    ],
    "claim": [
        {"id": 8, "source": 4, "measure": "payments", "last_day": None},
        {"id": 9, "source": 4, "measure": "checkins", "last_day": DAY},
    ],
    "tally": [
        *(
            {
                "source": 4,
                "measure": "payments",
                "day": day,
                "revision": 1,
                "counts": '{"cash":5,"qr":5}',
                "received_at": AT,
            }
            for day in _DAYS
        ),
        {"source": 4, "measure": "checkins", "day": DAY, "revision": 2**53, "counts": "{}", "received_at": AT},
    ],
    "tally_log": [
        {
            "id": 2**40,
            "source": 4,
            "measure": "payments",
            "day": DAY,
            "revision": 1,
            "counts": '{"cash":1}',
            "received_at": AT,
            "replaced_at": AT,
        }
    ],
    "month_count": [
        {"facility": "12001", "month": date(2026, 9, 1), "measures": '{"payments":[{"cash":150,"qr":150},1023,1023]}'}
    ],
    "below": [{"facility": "12001", "indicator": "cashless", "since": AT}],
    "baseline": [
        {
            "facility": "12001",
            "indicator": "cashless",
            "plan": "ke-hoach",
            "first_day": date(2026, 1, 1),
            "day": date(2026, 1, 30),
            "numerator": 10**12,
            "denominator": 2 * 10**12,
        }
    ],
    "manual_figure": [
        {
            "id": 7,
            "plan": "ke-hoach",
            "code": "units_inspected",
            "day": DAY,
            "value": "20.5",
            "evidence": "Biên bản số 12",
            "person": "an",
            "entered_at": AT,
            "file": hashed("biên bản"),
            "file_name": "bien-ban-12.pdf",
        }
    ],
    "evidence": [{"digest": hashed("biên bản"), "kind": "pdf", "content": b"%PDF-1.7\x00\xff", "added_at": AT}],
    "alert": [
        {
            "id": 17,
            "fingerprint": "f00d",
            "starts_at": AT,
            "name": "IndicatorBelowTarget",
            "severity": "warning",
            "facility": "12001",
            "indicator": "cashless",
            "summary": "chưa đạt",
            "description": "thiếu 12 ca",
            "labels": '{"a":"b"}',
            "heard_at": AT,
            "ends_at": AT,
            "ended": "unheard",
            "answer": "đang sửa",
            "answered_by": "an",
            "answered_at": AT,
        }
    ],
    "signature": [
        {
            "id": 11,
            "facility": "12001",
            "period": "2026-10",
            "decision": "confirmed",
            "digest": f"sha256:{hashed(_FIGURES)}",
            "figures": _FIGURES,
            "reasons": "{}",
            "person": "an",
            "at": AT,
        }
    ],
    "deputy": [
        {
            "id": 3,
            "facility": "12001",
            "person": 5,
            "first_day": DAY,
            "last_day": date(2026, 10, 20),
            "named_by": "an",
            "named_at": AT,
            "ended_at": AT,
        }
    ],
    "reminder": [{"facility": "12001", "period": "2026-10", "stage": -1, "address": "cntt@example.vn", "at": AT}],
    "upload": [
        {
            "id": 4,
            "facility": "12001",
            "person": "an",
            "at": AT,
            "lines": 12,
            "told": '[["payments","2026-10-01","2026-10-31","2026-10-31",{"cash":5}]]',
            "remarks": '["dòng 3: ngày không đúng dạng"]',
            "accepted_at": AT,
            "accepted_by": "an",
            "result": '{"new":1}',
        }
    ],
    "report": [
        {
            "id": 6,
            "facility": "12001",
            "period": "2026-10",
            "format": "csv",
            "person": "an",
            "asked_at": AT,
            "state": "done",
            "holder": "máy 1",
            "until": AT,
            "attempts": 1,
            "started_at": AT,
            "ended_at": AT,
            "problem": "quá lâu",
            "file_name": "bao-cao.csv",
            "content": b"\xef\xbb\xbfa;b\r\n\x00",
        }
    ],
    "throttle": [{"name": "login 10.0.0.0/24", "minute": AT, "tries": 3}],
    "lease": [{"name": "roads", "holder": "máy 1", "until": AT}],
}
