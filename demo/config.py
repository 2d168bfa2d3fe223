"""The files that people would write: agent.toml of each hospital, and at the Sở the list of facilities and the rest."""

import json
from collections.abc import Iterable
from datetime import date
from importlib import resources
from pathlib import Path

_HISPRO = """
[sources.his]
kind = "his.sql"
vendor = "hispro"
database_file = "his.url"

[sources.his.attach]
his_rs = "his_rs.sqlite"
emr_rs = "emr_rs.sqlite"
"""
_CHECKINS = """
# Kiosk của bệnh viện ghi vào một bảng riêng mà không phần mềm nào biết: câu truy vấn tự viết.
[sources.his.queries.{measure}]
time = "number14"
sql = \"\"\"
SELECT k.in_time / 1000000 AS day, k.method AS category, COUNT(*) AS count
FROM his_rs.kiosk_checkin k
WHERE k.in_time >= :start AND k.in_time < :end{insured}
GROUP BY k.in_time / 1000000, k.method
\"\"\"

[sources.his.queries.{measure}.categories]
QR = "cccd_qr"
CHIP = "cccd_chip"
VNEID = "vneid"
VSSID = "vssid"
THE = "insurance_card"
TAY = "manual"
KHONG = "no_id"
"""
_EINVOICE = """
[sources.hoadon]
kind = "einvoice.xml"
folder = "hoadon"
"""
HISPRO_WITH_KIOSK = (
    _HISPRO
    + _CHECKINS.format(measure="checkins", insured="")
    + _CHECKINS.format(measure="checkins_insured", insured=" AND k.insured = 1")
    + _EINVOICE
)
HISPRO_BRANCHES = f"""{_HISPRO}
# BRANCH_ID -> cơ sở
[sources.his.facilities]
1 = "12002"
2 = "12003"
"""
OPENHOSPITAL = """
[sources.his]
kind = "his.sql"
vendor = "openhospital"
database_file = "his.url"
"""
FACILITIES = (
    ("12001", "Bệnh viện Đa khoa tỉnh", "province", "public", "Phường Tân Phong"),
    ("12002", "Bệnh viện Đa khoa Thiện Tâm", "province", "private", "Phường Đoàn Kết"),
    ("12003", "Bệnh viện Thiện Tâm, cơ sở 2", "province", "private", "Xã Bình Lư"),
    ("12004", "Trung tâm Y tế khu vực Phong Thổ", "regional", "public", "Xã Phong Thổ"),
    ("12005", "Trung tâm Y tế khu vực Sìn Hồ", "regional", "public", "Xã Sìn Hồ"),
)
"""Id, name, level, ownership, area. The last one has no agent: a silent facility is a fact, not an absence."""


def agent_toml(
    facilities: tuple[str, ...], collector: str, poll_minutes: float, reread_days: int, deep_days: int, sources: str
) -> str:
    """agent.toml of one hospital; the agent's own files lie beside it."""
    who = f'facility = "{facilities[0]}"' if len(facilities) == 1 else f"facilities = {json.dumps(facilities)}"
    return f"""\
[agent]
{who}
collector = "{collector}"
token_file = "token"
data_dir = "data"
poll_minutes = {poll_minutes}
reread_days = {reread_days}
deep_reread_days = {deep_days}
{sources}"""


def facilities_csv(active_from: date) -> str:
    """The list that the collector imports."""
    head = "id,name,level,ownership,area,email,active_from,bhxh_code,indicators"
    rows = (
        f'{id_},"{name}",{level},{ownership},{area},cntt-{id_}@example.vn,{active_from},{id_},'
        for id_, name, level, ownership, area in FACILITIES
    )
    return "\n".join([head, *rows, ""])


def plans() -> list[Path]:
    """The sample plans that the province is held against, the one that binds first before the other."""
    packaged = Path(str(resources.files("collector").joinpath("samples/plans")))
    directory = packaged if packaged.is_dir() else Path(__file__).parent.parent / "config" / "plans"
    return [directory / f"{name}.toml" for name in ("so-y-te-2026", "lai-chau-2026-2030")]


def collector_toml(port: int, plan_files: Iterable[Path], standings: str) -> str:
    """collector.toml of a collector on this machine only; `standings`: lines of its table of thresholds."""
    return f"""\
[collector]
listen = "127.0.0.1:{port}"
data_dir = "data"
plan_files = {_texts(plan_files)}

[standings]
{standings}
"""


def dashboards_toml(
    portal: str, prometheus: str, directory: Path, facilities_csv: Path, plan_files: Iterable[Path], more: str
) -> str:
    """dashboards.toml of boards, rules and routes over the collector at `portal`, written to `directory`.

    `more`: what follows, any TOML.
    """
    return f"""\
[dashboards]
portal_url = "{portal}"
prometheus_url = "{prometheus}"
grafana_dir = {_text(directory)}
facilities_file = {_text(facilities_csv)}
plan_files = {_texts(plan_files)}
{more}
"""


def prometheus_yml(collector: str, alertmanager: str, seconds: float) -> str:
    """prometheus.yml as config/prometheus.yml is, with the alerts, and so quick that a demo shows something."""
    return f"""\
global:
  scrape_interval: {seconds}s
  scrape_timeout: {seconds}s
rule_files: ["prometheus/rules/*.yml"]
alerting:
  alertmanagers:
    - static_configs:
        - targets: ["{alertmanager}"]
scrape_configs:
  - job_name: nhipso
    static_configs:
      - targets: ["{collector}"]
"""


def _texts(files: Iterable[Path]) -> str:
    return f"[{', '.join(map(_text, files))}]"


def _text(file: Path) -> str:
    return json.dumps(str(file.resolve()), ensure_ascii=False)
