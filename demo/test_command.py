"""`python -m demo` from its first line to its last, on a machine that has neither Prometheus nor Alertmanager."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parent.parent


def test_without_prometheus_the_demo_runs_on_and_says_how_to_get_it_and_how_to_start_a_grafana(tmp_path: Path) -> None:
    home, nothing = tmp_path / "province", tmp_path / "bin"
    nothing.mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "demo", "--seconds", "1", "--directory", str(home)],
        cwd=ROOT,
        env=os.environ | {"PATH": str(nothing)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "khớp hoàn toàn với sự thật" in done.stdout
    said = dict(re.findall(r"^  ([^:\n]+): (.+)$", done.stdout, re.M))
    missing = "chưa cài (Debian: apt install prometheus prometheus-alertmanager)"
    assert (said["Prometheus"], said["Alertmanager"]) == (missing, missing)
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/metrics", said["Số liệu cho Prometheus"])
    # the line can be copied as it is: Grafana finds its folder, its boards and its datasource
    (provisioning,) = re.findall(r"GF_PATHS_PROVISIONING=(\S+) grafana server", said["Các bảng, khi có Grafana"])
    [provider] = yaml.safe_load((Path(provisioning) / "dashboards" / "nhipso.yml").read_text("utf-8"))["providers"]
    boards = [json.loads(file.read_text("utf-8")) for file in Path(provider["options"]["path"]).glob("*.json")]
    assert len(boards) == 5
    [source] = yaml.safe_load((Path(provisioning) / "datasources" / "nhipso.yml").read_text("utf-8"))["datasources"]
    chosen = [one["current"]["value"] for board in boards for one in board["templating"]["list"][:1]]
    assert set(chosen) == {source["uid"]}
