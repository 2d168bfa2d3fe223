"""What the commands print for people; rich is imported only here and only when something is printed."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from typing import Any

SLOW_SECONDS = 5.0


def check(sources: Sequence[Mapping[str, Any]]) -> None:
    """The result of `check`: for every source a table of what would be sent, then what needs a look."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console(highlight=False)
    for source in sources:
        state = "[green]trả lời[/]" if source["ok"] else f"[red]LỖI: {escape(str(source['error']))}[/]"
        console.print(f"\n[bold]{source['name']}[/] ({source['kind']}): {state}, {source['seconds']} giây")
        table = Table("Ngày", "Cơ sở", "Số đếm", "Theo loại")
        for tally in source["tallies"]:
            counts = ", ".join(f"{code} {number(count)}" for code, count in tally["counts"].items()) or "0"
            table.add_row(day(tally["day"]), tally["facility"], tally["measure"], counts)
        if source["tallies"]:
            console.print(table)
        took = (
            f"{measure} {str(seconds).replace('.', ',')} giây" for measure, seconds in source["query_seconds"].items()
        )
        console.print(f"Thời gian truy vấn: {', '.join(took) or '—'}")
        for measure, seconds in source["query_seconds"].items():
            if seconds > SLOW_SECONDS:
                console.print(f"[yellow]{measure}: truy vấn mất {seconds} giây (quá {SLOW_SECONDS:g}): cần chỉ mục?[/]")
        for line in _loose_ends(source):
            console.print(f"[yellow]{escape(line)}[/]")
    console.print("\nChưa gửi gì. Những số trên là những gì SẼ được gửi.")


def status(report: Mapping[str, Any]) -> None:
    """The result of `status`."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console(highlight=False)
    console.print(f"Chờ gửi {number(report['waiting'])} · bị từ chối hoặc để riêng {number(report['parked'])}")
    console.print(
        f"Máy chủ Sở nhận lần cuối: {moment(report['last_ack'])} · đọc lại ban đêm: {moment(report['nightly_at'])}"
    )
    for line in _warnings(report):
        console.print(f"[yellow]{escape(line)}[/]")
    table = Table("Nguồn", "Loại", "Trạng thái", "Đọc được lúc", "Ngày mới nhất")
    for source in report["sources"]:
        state = "tốt" if source["ok"] else escape(f"lỗi từ {moment(source['since'])}: {source['error']}")
        newest = ", ".join(f"{place}: {day(text)}" for place, text in source["newest_day"].items())
        table.add_row(source["name"], source["kind"], state, moment(source["read_at"]), newest or "—")
    console.print(table)
    for source in report["sources"]:
        merged: dict[str, dict[str, int]] = {}
        for measures in report["unmapped"][source["name"]].values():
            merged |= measures
        for line in _loose_ends({**source, "unmapped": merged}):
            console.print(f"[yellow]{escape(line)}[/]")
    for one in report["refused"][:20]:
        place = f"{one['facility']} {one['source']} {one['measure']} {day(one['day'])}"
        console.print(escape(f"Không gửi được {place}: {one['code']} {one['reason']}"))
    if len(report["refused"]) > 20:
        console.print(f"… và {len(report['refused']) - 20} số khác (xem --json)")
    for name, nights in report["differing"].items():
        console.print(f"[yellow]Lệch với máy chủ Sở {nights} đêm: {name}[/]")
    for file in report["damaged_ledgers"]:
        console.print(f"[yellow]Sổ hỏng đã cất: {file}[/]")


def _warnings(report: Mapping[str, Any]) -> Iterator[str]:
    """Why nothing is taken, and what will soon or should never be."""
    if failure := report["push_failure"]:
        yield f"Không gửi được từ {moment(failure['since'])}: {failure['error']}"
    yield from report["warnings"]


def _loose_ends(source: Mapping[str, Any]) -> Iterator[str]:
    """Unmapped values with the lines to add, facilities nobody mapped, files that could not be read."""
    for measure, values in source["unmapped"].items():
        shown = ", ".join(f"“{value}” {number(cases)} lần" for value, cases in values.items())
        yield f"{measure}: giá trị chưa khai báo: {shown}"
        yield f"  Thêm vào agent.toml: [sources.{source['name']}.queries.{measure}.categories]"
        yield from (f'  "{value}" = "…"' for value in list(values)[:10])
    for value, cases in source["strangers"].items():
        place = f"[sources.{source['name']}.facilities]"
        yield f"Không đếm {number(cases)} trường hợp của “{value}”: không có trong {place}"
    for problem, files in source["problems"].items():
        yield f"{number(files)} tệp: {problem}"


@contextmanager
def progress(title: str, steps: int) -> Iterator[Callable[[], None]]:
    """A progress bar of `steps`; yields what advances it by one."""
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True)) as bar:
        task = bar.add_task(title, total=steps)
        yield lambda: bar.advance(task)


def number(value: int) -> str:
    """1.234.567, as Vietnamese readers expect."""
    return f"{value:,}".replace(",", ".")


def day(text: str) -> str:
    """dd/MM/yyyy of an ISO day."""
    return f"{date.fromisoformat(text):%d/%m/%Y}"


def moment(text: str | None) -> str:
    """HH:mm dd/MM/yyyy of an ISO moment."""
    return f"{datetime.fromisoformat(text):%H:%M %d/%m/%Y}" if text else "chưa lần nào"
