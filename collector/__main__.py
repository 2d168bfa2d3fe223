"""The command nhipso-collector. Exit codes: 0 done, 1 something asked for did not hold, 2 wrong usage or config."""

import csv
import errno
import gc
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from datetime import datetime
from importlib import resources
from pathlib import Path

import click
from pydantic import TypeAdapter, ValidationError

from collector import history, manual, merging, reports, serving, sources
from collector import registry as lists
from collector.access import Access
from collector.people import ROLES, People, state
from collector.reports import periods
from collector.settings import Settings, load, yardstick
from collector.store import Store, backup, registry
from collector.store import manual as figures
from collector.store import people as persons
from collector.store.people import Person
from collector.store.registry import Merger, Pause
from contract import __version__, catalogue, plan
from contract.days import DayRange, local_day, now
from contract.errors import AwayError, ConfigError, NhipsoError, PortalError
from contract.problems import sentences

Day = click.DateTime(["%Y-%m-%d"])
COLLECT = 100_000, 20, 50
"""A province is a million objects that stay, and a full collection looks at all of them: a third of a second in which
nobody gets a page. Hardly anything of ours is in cycles, so it may be rare (by default 700, 10, 10)."""


class _Group(click.Group):
    """Errors of ours become sentences and an exit code, whatever the command."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except ConfigError as error:
            for problem in error.problems:
                click.echo(problem, err=True)
            ctx.exit(2)
        except NhipsoError as error:
            click.echo(str(error), err=True)
            ctx.exit(1)
        except BrokenPipeError:
            raise
        except OSError as error:
            click.echo(f"{error.filename or 'máy này'}: không đọc hoặc ghi được ({error.strerror})", err=True)
            # a full disk is nobody's wrong usage
            ctx.exit(1 if error.errno == errno.ENOSPC else 2)


@click.group(cls=_Group)
@click.option(
    "--config",
    "file",
    type=click.Path(path_type=Path),
    default=None,
    help="Tệp cấu hình (mặc định: collector.toml ở thư mục hiện tại, hoặc biến NHIPSO_COLLECTOR_CONFIG).",
)
@click.version_option(__version__)
@click.pass_context
def main(context: click.Context, file: Path | None) -> None:
    """Máy chủ thu thập của nhipso tại Sở Y tế."""
    context.obj = file or Path(os.environ.get("NHIPSO_COLLECTOR_CONFIG", "collector.toml"))


@contextmanager
def _open(context: click.Context) -> Iterator[tuple[Settings, Store]]:
    settings = load(context.obj)
    before = os.umask(0o077)  # what is written is for this account only: database, backups, exports, reports
    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        store = Store(settings.database)
        try:
            yield settings, store
        finally:
            store.close()
    finally:
        os.umask(before)


@contextmanager
def _ready(context: click.Context) -> Iterator[tuple[Settings, Store]]:
    with _open(context) as (settings, store):
        if not store.is_current():
            raise ConfigError("cơ sở dữ liệu chưa có lược đồ hiện hành: chạy nhipso-collector migrate")
        yield settings, store


@main.command()
@click.argument("directory", type=click.Path(path_type=Path))
def init(directory: Path) -> None:
    """Ghi collector.toml có chú thích, lịch làm việc và các kế hoạch mẫu vào thư mục."""
    packaged = resources.files("collector").joinpath("samples")
    # in a checkout the samples stand in config/, where deployers look for them
    samples = packaged if packaged.is_dir() else Path(__file__).parent.parent / "config"
    plans = sorted(f"plans/{one.name}" for one in samples.joinpath("plans").iterdir() if one.name.endswith(".toml"))
    names = ["collector.toml", "calendar.toml", *plans]
    problems = [f"{directory / name}: đã có, không ghi đè" for name in names if (directory / name).exists()]
    if problems:
        raise ConfigError(problems)
    (directory / "plans").mkdir(parents=True, exist_ok=True)
    for name in names:
        (directory / name).write_text(samples.joinpath(name).read_text("utf-8"), "utf-8")
    target = directory / "collector.toml"
    click.echo(f"Đã ghi {target}, lịch làm việc và {len(plans)} kế hoạch mẫu.")
    click.echo(f"Tiếp theo: nhipso-collector --config {target} migrate")


@main.command()
@click.pass_context
def migrate(context: click.Context) -> None:
    """Đưa cơ sở dữ liệu về lược đồ hiện hành."""
    with _open(context) as (_, store):
        store.migrate()
    click.echo("Lược đồ đã là hiện hành.")


@main.command()
@click.pass_context
def serve(context: click.Context) -> None:
    """Chạy dịch vụ."""
    import uvicorn

    from collector.app import create_app
    from collector.patience import LIMITS

    with _ready(context) as (settings, store):
        channel = serving.context(settings)
        Access(store, settings.revocations).apply_revocations(now())
        app = create_app(settings, store)
        gc.set_threshold(*COLLECT)
        for one in (signal.SIGTERM, signal.SIGINT):
            signal.signal(one, lambda *_: sys.exit(0))  # uvicorn gives the signal back when it has ended all answers
        uvicorn.run(
            app,
            host=settings.host,
            port=settings.port,
            ssl_context_factory=(lambda *_: channel) if channel else None,
            access_log=False,
            log_level="info",
            timeout_graceful_shutdown=10,
            **LIMITS,
        )


@main.group("plan")
def plan_group() -> None:
    """Kế hoạch và chỉ tiêu."""


@plan_group.command("check")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.pass_context
def plan_check(context: click.Context, files: tuple[Path, ...]) -> None:
    """Kiểm tra tệp kế hoạch, nêu tên mọi chỗ sai; theo danh mục và danh bạ của collector.toml nếu có."""
    settings = load(context.obj) if context.obj.exists() else None
    registered = _registered(settings) if settings else None
    found = plan.load(files, catalogue.load(settings.catalogue_file if settings else None), registered)
    for one in found:
        followed = sum(target.ratio is None for target in one.targets)
        state = "đã hết hiệu lực sau ngày" if one.is_over(local_day(now())) else "có hiệu lực đến"
        days = f"{one.first_day:%d/%m/%Y} đến {one.last_day:%d/%m/%Y}, {state} {one.until:%d/%m/%Y}"
        counts = (
            f"{len(one.targets) - followed} chỉ tiêu, {followed} chỉ số theo dõi, {len(one.manual)} chỉ tiêu nhập tay"
        )
        click.echo(f"{one.id}: {one.title}\n  {days}\n  {counts}")
        if registered is None and one.facilities:
            click.echo("  chưa đối chiếu mã cơ sở: cần collector.toml, và danh bạ đã có cơ sở")


def _registered(settings: Settings) -> dict[str, tuple[str, str]] | None:
    """Level and ownership of every facility; None where there is no registry yet, or it is away. Makes no database."""
    store = Store(settings.database)
    try:
        file = store.engine.url.database
        if (store.is_sqlite and not Path(file or "").is_file()) or not store.is_current():
            return None
        with store.read() as connection:
            return {one.id: (one.level, one.ownership) for one in registry.facilities(connection)} or None
    except AwayError:
        return None
    finally:
        store.close()


@main.group("manual")
def manual_group() -> None:
    """Chỉ tiêu nhập tay: số liệu do người nhập, kèm minh chứng."""


@contextmanager
def _usage() -> Iterator[None]:
    """What the API answers with an error is wrong usage of a command."""
    try:
        yield
    except PortalError as error:
        raise ConfigError(str(error)) from None


# a rank may fall: -2 is a figure, not an option
@manual_group.command("set", context_settings={"ignore_unknown_options": True})
@click.argument("plan", metavar="PLAN")
@click.argument("code", metavar="CODE")
@click.argument("value", metavar="VALUE")
@click.option("--day", type=Day, required=True, help="Ngày của số liệu.")
@click.option("--evidence", required=True, help="Minh chứng: văn bản, biên bản, nơi lưu.")
@click.option("--person", required=True, help="Người nhập.")
@click.pass_context
def manual_set(context: click.Context, /, day: datetime, person: str, **values: str) -> None:
    """Ghi số liệu của một chỉ tiêu nhập tay; số cũ vẫn được giữ.

    VALUE là số phần trăm hoặc số lượng: 20 hoặc 20,5 (không quá hai chữ số thập phân, không có dấu ngăn hàng nghìn).
    """
    try:
        new = manual.NewFigure.model_validate({**values, "day": day.date()})
        name = TypeAdapter(manual.Words).validate_python(person)
    except ValidationError as error:
        raise ConfigError(sentences("manual set", error)) from None
    with _ready(context) as (settings, store), _usage(), store.write() as connection:
        _, target = manual.enter(connection, yardstick(settings).plans, new, name, now())
    click.echo(
        f"Đã ghi {target.vi}: {manual.shown(target, new.value)} ngày {new.day:%d/%m/%Y}, "
        f"{manual.judged(target, new.value)}."
    )


@manual_group.command("list")
@click.argument("plan", required=False)
@click.option("--history", is_flag=True, help="Kèm mọi số liệu đã nhập, mới nhập trước.")
@click.pass_context
def manual_list(context: click.Context, plan: str | None, history: bool) -> None:
    """Các chỉ tiêu nhập tay của những kế hoạch có hiệu lực, hoặc của một kế hoạch."""
    today = local_day(now())
    with _ready(context) as (settings, store):
        with _usage():
            chosen = manual.select(yardstick(settings).plans, plan, today)
        with store.read() as connection:
            found = manual.states(chosen, figures.figures(connection, [one.id for one in chosen]), today)
    if not found:
        click.echo("Không có chỉ tiêu nhập tay nào.")
    for one in found:
        click.echo("\n".join(manual.lines(one, history)))


@main.command("report")
@click.option("--period", default=None, help="Kỳ báo cáo: 2026-11, 2026-Q4, 2026-H2 hoặc 2026.")
@click.option("--from", "first", type=Day, default=None, help="Hoặc từ ngày …")
@click.option("--to", "last", type=Day, default=None, help="… đến ngày.")
@click.option("--facility", "facility_id", default=None, help="Báo cáo về một cơ sở (mặc định: toàn tỉnh).")
@click.option("--format", "kind", type=click.Choice(reports.FORMATS), required=True, help="Dạng tệp.")
@click.option(
    "--output", type=click.Path(path_type=Path), default=None, help="Tệp ghi ra, đè lên tệp cũ (mặc định: tên theo kỳ)."
)
@click.pass_context
def report_command(
    context: click.Context,
    period: str | None,
    first: datetime | None,
    last: datetime | None,
    facility_id: str | None,
    kind: reports.Format,
    output: Path | None,
) -> None:
    """Lập báo cáo theo thể thức văn bản hành chính: tháng, quý, 6 tháng, năm, hoặc giữa hai ngày."""
    with _ready(context) as (settings, store), _usage():
        if period is not None and first is None and last is None:
            asked = periods.parse(period)
        elif period is None and first is not None and last is not None:
            asked = periods.between(first.date(), last.date())
        else:
            raise ConfigError("hãy nêu --period, hoặc cả --from và --to")
        with store.read() as connection:
            report = reports.draw_up(
                connection, yardstick(settings), settings.confirmation, settings.report, asked, facility_id, now()
            )
        content = reports.write(report, kind)
        target = output or Path(reports.file_name(report, kind))
        if output is None and target.exists():
            raise ConfigError(f"{target}: đã có, không ghi đè; hãy nêu --output")
        target.write_bytes(content)
    click.echo(f"Đã ghi {target}.")


@main.command("export")
@click.option(
    "--format", "kind", type=click.Choice(history.FORMATS), required=True, help="openmetrics: cho kho metric dài hạn."
)
@click.option("--from", "first", type=Day, required=True, help="Từ ngày …")
@click.option("--to", "last", type=Day, required=True, help="… đến ngày.")
@click.option(
    "--output", type=click.Path(path_type=Path), default=None, help="Tệp ghi ra, đè lên tệp cũ (mặc định: in ra)."
)
@click.pass_context
def export_command(
    context: click.Context, first: datetime, last: datetime, kind: history.Format, output: Path | None
) -> None:
    """Xuất lịch sử của mọi cơ sở, mỗi con số mang đúng ngày của nó: openmetrics, hoặc csv (số đếm từng ngày)."""
    if first > last:
        raise ConfigError("--from phải không sau --to")
    moment, days = now(), DayRange(first.date(), last.date())
    if days.last > local_day(moment):
        raise ConfigError("--to phải không sau hôm nay")
    with _ready(context) as (settings, store):
        found = history.History(store, yardstick(settings), settings.metrics_windows, days, moment)
        with output.open("w", encoding="ascii", newline="") if output else nullcontext(sys.stdout) as target:
            target.writelines(found.text(kind))


@main.group()
def facility() -> None:
    """Danh bạ cơ sở."""


@facility.command("add")
@click.argument("facility_id")
@click.option("--name", required=True, help="Tên cơ sở.")
@click.option("--level", required=True, help="province, regional, commune_station, clinic, department.")
@click.option("--ownership", default=None, help="public (mặc định), private.")
@click.option("--area", default=None, help="Địa bàn.")
@click.option("--email", default=None, help="Thư điện tử liên hệ.")
@click.option("--active-from", default=None, help="Hoạt động từ ngày (mặc định: từ trước đến nay).")
@click.option("--active-to", default=None, help="Ngày cuối cùng hoạt động.")
@click.option("--bhxh-code", default=None, help="Mã cơ sở khám chữa bệnh 5 ký tự.")
@click.option("--bhxh-from", default=None, help="Mã đó có hiệu lực từ ngày (mặc định: hôm nay).")
@click.option("--indicators", default=None, help="Chỉ những chỉ số này (mặc định: mọi chỉ số của cấp).")
@click.pass_context
def facility_add(context: click.Context, /, facility_id: str, **values: str | None) -> None:
    """Thêm hoặc sửa một cơ sở; khi sửa, những gì không nêu thì giữ nguyên."""
    cells = {name: value for name, value in {"id": facility_id, **values}.items() if value is not None}
    _register(context, [("facility add", lists.line("facility add", cells))])


@facility.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.pass_context
def facility_import(context: click.Context, file: Path) -> None:
    """Thêm hoặc sửa các cơ sở trong một tệp CSV hoặc XLSX."""
    _register(context, lists.read(file))


def _register(context: click.Context, lines: list[tuple[str, lists.Line]]) -> None:
    with _ready(context) as (settings, store):
        count = lists.register(store, lines, catalogue.load(settings.catalogue_file), now())
    click.echo(f"Đã ghi {count} cơ sở.")


@facility.command("list")
@click.pass_context
def facility_list(context: click.Context) -> None:
    """In danh bạ dạng CSV."""
    with _ready(context) as (_, store), store.read() as connection:
        found, codes = registry.facilities(connection), registry.codes(connection)
    writer = csv.writer(sys.stdout)
    writer.writerow(
        ["id", "name", "level", "ownership", "area", "email", "active_from", "active_to", "bhxh_code", "last_push_at"]
    )
    for one in found:
        code = next((code.code for code in reversed(codes) if code.facility == one.id), "")
        dates = (one.active_from or "", one.active_to or "")
        writer.writerow(
            [one.id, one.name, one.level, one.ownership, one.area, one.email, *dates, code, one.last_push_at or ""]
        )


@facility.command("pause")
@click.argument("facility_id")
@click.option("--from", "first", type=Day, required=True, help="Ngày đầu.")
@click.option("--to", "last", type=Day, required=True, help="Ngày cuối.")
@click.option("--reason", required=True, help="Lý do.")
@click.pass_context
def facility_pause(context: click.Context, facility_id: str, first: datetime, last: datetime, reason: str) -> None:
    """Những ngày không chờ số liệu của cơ sở."""
    if first > last:
        raise ConfigError("--from phải không sau --to")
    with _ready(context) as (_, store):
        lists.pause(store, Pause(facility_id, first.date(), last.date(), reason), now())
    click.echo("Đã ghi.")


@facility.command("merge")
@click.argument("merged", metavar="FROM")
@click.argument("into", metavar="INTO")
@click.option("--day", type=Day, required=True, help="Từ ngày này, nguồn của FROM đếm cho INTO.")
@click.option("--part", default=None, help="Tên phần: số của FROM được cộng với số của INTO dưới tên này.")
@click.pass_context
def facility_merge(context: click.Context, merged: str, into: str, day: datetime, part: str | None) -> None:
    """Sáp nhập cơ sở FROM vào INTO; lịch sử trước ngày đó vẫn là của FROM."""
    with _ready(context) as (settings, store), _usage():
        merger = Merger(into, day.date(), part)
        merging.merge(store, catalogue.load(settings.catalogue_file), merged, merger, now())
    click.echo(f"Đã ghi: từ ngày {day:%d/%m/%Y} nguồn của {merged} đếm cho {into}.")


@facility.command("unmerge")
@click.argument("merged", metavar="FROM")
@click.pass_context
def facility_unmerge(context: click.Context, merged: str) -> None:
    """Hủy việc sáp nhập FROM, như chưa từng có."""
    with _ready(context) as (_, store), _usage():
        merging.undo(store, merged, now())
    click.echo("Đã ghi.")


@main.command("enrol-code")
@click.argument("facilities", nargs=-1, required=True)
@click.option("--agent", default=None, help="Agent đã có, nay ghi danh lại.")
@click.pass_context
def enrol_code(context: click.Context, facilities: tuple[str, ...], agent: str | None) -> None:
    """In một mã ghi danh dùng một lần, có hạn 7 ngày."""
    with _ready(context) as (settings, store):
        click.echo(Access(store, settings.revocations).make_code(facilities, agent, now()))


@main.group()
def token() -> None:
    """Mã truy cập của agent."""


@token.command("revoke")
@click.argument("agent")
@click.pass_context
def token_revoke(context: click.Context, agent: str) -> None:
    """Thu hồi mọi mã truy cập của một agent."""
    with _ready(context) as (settings, store):
        count = Access(store, settings.revocations).revoke(agent, now())
    click.echo(f"Đã thu hồi {count} mã.")
    context.exit(0 if count else 1)


def _source_command(name: str) -> Callable[[Callable[..., None]], click.Command]:
    def wrap(function: Callable[..., None]) -> click.Command:
        place = click.argument("name")(click.pass_context(function))
        return source.command(name)(click.argument("facility_id")(place))

    return wrap


@main.group()
def source() -> None:
    """Nguồn của các cơ sở."""


@_source_command("retire")
@click.option("--last-day", type=Day, required=True, help="Ngày cuối cùng mà nguồn này đếm.")
def source_retire(context: click.Context, facility_id: str, name: str, last_day: datetime) -> None:
    """Ngừng một nguồn: số đến ngày đó vẫn tính, về sau không nhận."""
    with _ready(context) as (_, store):
        sources.retire(store, facility_id, name, last_day.date(), now())
    click.echo("Đã ghi.")


@_source_command("rename")
@click.argument("new_name")
def source_rename(context: click.Context, facility_id: str, name: str, new_name: str) -> None:
    """Đổi tên một nguồn, giữ nguyên số liệu."""
    with _ready(context) as (_, store):
        sources.rename(store, facility_id, name, new_name, now())
    click.echo("Đã ghi.")


@_source_command("move")
@click.option("--agent", required=True, help="Agent mới.")
def source_move(context: click.Context, facility_id: str, name: str, agent: str) -> None:
    """Chuyển một nguồn sang agent khác."""
    with _ready(context) as (_, store):
        sources.move(store, facility_id, name, agent, now())
    click.echo("Đã ghi.")


@main.group()
def user() -> None:
    """Người dùng."""


@user.command("add")
@click.argument("name")
@click.option("--role", type=click.Choice(ROLES), required=True, help="Vai trò; kèm --facility là người của cơ sở.")
@click.option("--facility", default=None, help="Cơ sở của người này; không có: người của Sở.")
@click.option("--full-name", default="", help="Họ tên hiện trên các trang.")
@click.option("--email", default="", help="Nơi nhận thư nhắc.")
@click.pass_context
def user_add(context: click.Context, /, **values: str | None) -> None:
    """Thêm một người và in mã truy cập API của người đó (chỉ hiện một lần).

    Tên đã có thì đổi vai trò, cơ sở và mã truy cập; mật khẩu và lịch sử giữ nguyên. Mật khẩu: lệnh user password.
    """
    with _ready(context) as (_, store):
        click.echo(People(store).add(Person(**values), now()))  # type: ignore[arg-type]


@user.command("password")
@click.argument("name")
@click.pass_context
def user_password(context: click.Context, name: str) -> None:
    """In một mật khẩu mới (chỉ hiện một lần) mà người dùng phải đổi khi đăng nhập; mở khóa tài khoản."""
    with _ready(context) as (_, store), _usage():
        click.echo(People(store).first_password(name, now()))


@user.command("disable")
@click.argument("name")
@click.pass_context
def user_disable(context: click.Context, name: str) -> None:
    """Ngừng một tài khoản: mật khẩu, mã truy cập và mọi phiên đang mở hết hiệu lực ngay."""
    with _ready(context) as (_, store), _usage():
        People(store).disable(name, now())
    click.echo("Đã ngừng. Lịch sử của người này được giữ.")


@user.command("list")
@click.pass_context
def user_list(context: click.Context) -> None:
    """Những người dùng, dạng CSV."""
    with _ready(context) as (_, store), store.read() as connection:
        found = persons.accounts(connection)
    writer = csv.writer(sys.stdout)
    writer.writerow(["name", "role", "facility", "full_name", "email", "state"])
    for one in found:
        who = one.person
        writer.writerow([who.name, who.role, who.facility or "", who.full_name, who.email, state(one, now())])


@main.command("backup")
@click.argument("file", type=click.Path(path_type=Path))
@click.pass_context
def backup_command(context: click.Context, file: Path) -> None:
    """Sao toàn bộ kho vào một tệp, trong khi đang phục vụ."""
    with _ready(context) as (_, store):
        backup.backup(store, file)
    click.echo(f"Đã sao vào {file}.")


@main.command("restore")
@click.argument("file", type=click.Path(path_type=Path))
@click.pass_context
def restore_command(context: click.Context, file: Path) -> None:
    """Thay kho bằng một bản sao; các agent sẽ gửi lại những gì bản sao không có."""
    with _open(context) as (settings, store):
        backup.restore(store, file)
        with store.write() as connection:
            persons.note(connection, now(), persons.OPERATOR, "store_restored", file.name)
        Access(store, settings.revocations).apply_revocations(now())
    click.echo("Đã phục hồi. Kho có mã mới: các agent sẽ gửi lại toàn bộ sổ.")


if __name__ == "__main__":
    main()
