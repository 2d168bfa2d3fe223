"""`python -m demo`: a province in a box, with its collector and its agents, fed until Ctrl-C."""

import signal
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import FrameType
from typing import NoReturn

import click
import httpx
from rich.console import Console

from contract.days import now
from demo.children import ChildDiedError, Children
from demo.compare import Difference, differences, lines
from demo.province import Province
from demo.running import Running, reserve
from demo.screen import Screen
from demo.truth import Truth
from demo.watch import Watch

_TAIL_SECONDS = 15
_MIN_STEPS = 5
_SETTLE_SECONDS = 60
_MOST_SHOWN = 40
_PORTS = range(8080, 8100)


@click.command()
@click.option("--seconds", type=click.IntRange(min=1), help="Tự kết thúc sau chừng ấy giây và so với sự thật.")
@click.option("--directory", type=click.Path(path_type=Path), help="Thư mục trống để đặt tỉnh mẫu; mặc định: tạm.")
@click.option(
    "--port", type=click.IntRange(1, 65535), help="Cổng của collector; mặc định: cổng trống đầu tiên từ 8080."
)
@click.option("--seed", type=int, default=1, show_default=True, help="Hạt giống của tỉnh mẫu.")
def main(seconds: int | None, directory: Path | None, port: int | None, seed: int) -> None:
    """Một tỉnh trong hộp: năm cơ sở, các hệ thống nguồn sống, agent và collector, sự thật biết trước."""
    for one in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(one, _interrupt)
    console = Console()
    with tempfile.TemporaryDirectory(prefix="nhipso-demo-") as temporary:
        home = directory or Path(temporary)
        home.mkdir(parents=True, exist_ok=True)
        if any(home.iterdir()):
            raise click.UsageError(f"thư mục {home} không trống")
        try:
            with _held(port) as held:
                sys.exit(_demo(console, home, held.getsockname()[1], seed, seconds))
        except ChildDiedError as error:
            console.print(str(error), markup=False, highlight=False)
            sys.exit(1)
        except KeyboardInterrupt:
            console.print("Đã dừng.")


def _held(port: int | None) -> socket.socket:
    try:
        return reserve([port] if port else [*_PORTS, 0])
    except OSError as error:
        raise click.UsageError(f"không dùng được cổng {port}: {error.strerror}") from None


def _demo(console: Console, home: Path, port: int, seed: int, seconds: int | None) -> int:
    ends = time.monotonic() + seconds if seconds else None
    console.print("Đang dựng tỉnh mẫu …")
    with (
        closing(Province(home, now(), seed=seed, collector=f"http://127.0.0.1:{port}")) as province,
        Children(home / "logs") as children,
        closing(Running(province, children, port)) as running,
        closing(Watch(running, children)) as watch,
    ):
        for what, where in places(running, watch):
            console.print(f"  {what}: {where}", markup=False, highlight=False, soft_wrap=True)
        with Screen(console) as screen:
            _feed(province, running, children, screen, ends)
            left = _settle(province, running, children, screen)
    return _verdict(console, left)


def places(running: Running, watch: Watch) -> Iterator[tuple[str, str]]:
    """What there is to look at, and where; a command in one line, to be copied."""
    yield "Cổng thông tin", f"{running.address}/ (đăng nhập: demo, mật khẩu dùng một lần: {running.password})"
    yield "Số liệu cho Prometheus", f"{running.address}/metrics"
    for what, path in (("Kết quả so với chỉ tiêu", "standings"), ("Cảnh báo", "alerts")):
        yield what, f"curl -H 'Authorization: Bearer {running.token}' {running.address}/api/v1/{path}"
    missing = "chưa cài (Debian: apt install prometheus prometheus-alertmanager)"
    yield "Prometheus", f"{watch.prometheus}/alerts" if watch.prometheus else missing
    yield "Alertmanager", watch.alertmanager or missing
    yield "Các bảng, khi có Grafana", watch.grafana
    yield "Tệp", str(running.province.directory)


def _feed(province: Province, running: Running, children: Children, screen: Screen, ends: float | None) -> None:
    """Let the province live, a step a second; for ever when `ends` is None."""
    steps = 0
    while ends is None or steps < _MIN_STEPS or time.monotonic() < ends - _TAIL_SECONDS:
        began = time.monotonic()
        province.step(now())
        steps += 1
        children.check()
        killed = f", {children.killed} lần bị kill và chạy lại" if children.killed else ""
        note = f"Đang chạy, {steps} bước{killed}" + ("" if ends else ", Ctrl-C để dừng")
        _compare(province, running, screen, note)
        time.sleep(max(0.0, began + 1 - time.monotonic()))


def _settle(province: Province, running: Running, children: Children, screen: Screen) -> list[Difference]:
    """Wait until everything has arrived, and give what has not when patience ends."""
    deadline = time.monotonic() + _SETTLE_SECONDS
    while (
        left := _compare(province, running, screen, "Đã ngừng ghi, chờ số liệu đến")
    ) and time.monotonic() < deadline:
        children.check()
        time.sleep(0.5)
    return left


def _compare(province: Province, running: Running, screen: Screen, note: str) -> list[Difference]:
    days = province.days(now())
    truth = province.truth(days)
    try:
        arrived: Truth = running.arrived(days)
    except httpx.HTTPError as error:
        note, arrived = f"{note} (collector chưa trả lời: {type(error).__name__})", {}
    screen.show(list(lines(truth, arrived, days)), note)
    return differences(truth, arrived, days)


def _verdict(console: Console, left: list[Difference]) -> int:
    if not left:
        console.print("[green]Số liệu đã đến khớp hoàn toàn với sự thật.[/]")
        return 0
    console.print(f"[red]{len(left)} chỗ chưa khớp (sự thật ≠ đã đến):[/]")
    for one in left[:_MOST_SHOWN]:
        console.print(f"  {one}", markup=False, highlight=False, soft_wrap=True)
    return 1


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
