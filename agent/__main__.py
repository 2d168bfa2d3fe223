"""The command nhipso-agent. Exit codes: 0 done, 1 something asked for did not hold, 2 wrong usage or config."""

import json
import logging
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import datetime
from functools import partial
from importlib import resources
from pathlib import Path

import click

from agent import checking, printing, sheet_template
from agent.app import Agent, describe, problems_of_kinds, start
from agent.link import Link
from agent.poll import SLICE_DAYS, Wish
from agent.pusher import known_catalogue
from agent.schedule import Service
from agent.settings import Settings, load
from contract import __version__
from contract.days import DayRange, local_day, now
from contract.errors import ConfigError, NhipsoError

Day = click.DateTime(["%Y-%m-%d"])
log = logging.getLogger(__name__)
as_json = click.option("--json", "as_json", is_flag=True, help="In JSON cho chương trình khác.")


class _Group(click.Group):
    """Errors of ours become a sentence and an exit code, whatever the command; a later --config wins."""

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
        except OSError as error:
            click.echo(f"{error.filename or 'lỗi hệ thống'}: {error.strerror or type(error).__name__}", err=True)
            ctx.exit(1)


def _config_option(command: Callable[..., None]) -> Callable[..., None]:
    return click.option(
        "--config",
        "file",
        type=click.Path(path_type=Path),
        default=None,
        help="Tệp cấu hình (mặc định: agent.toml ở thư mục hiện tại, hoặc biến NHIPSO_AGENT_CONFIG).",
    )(command)


@click.group(cls=_Group)
@_config_option
@click.option("--debug", is_flag=True, help="Ghi nhật ký chi tiết.")
@click.version_option(__version__)
@click.pass_context
def main(context: click.Context, file: Path | None, debug: bool) -> None:
    """Agent của nhipso tại bệnh viện: đếm từ các hệ thống nguồn, giữ số đếm an toàn, gửi về Sở."""
    context.obj = file
    logging.basicConfig(
        level=logging.DEBUG if debug else logging.INFO, format="%(asctime)s %(levelname)s %(message)s", force=True
    )
    if not debug:
        for noisy in ("httpx", "httpcore"):
            logging.getLogger(noisy).setLevel(logging.WARNING)
        # It warns of every poll that is skipped because the one before still runs; what matters the service says.
        logging.getLogger("apscheduler").setLevel(logging.CRITICAL)


def _settings(context: click.Context, file: Path | None) -> Settings:
    file = file or context.obj or Path(os.environ.get("NHIPSO_AGENT_CONFIG", "agent.toml"))
    return load(file, partial(problems_of_kinds, file=file))


@contextmanager
def _private() -> Iterator[None]:
    """What is written meanwhile is for this account only."""
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)


@contextmanager
def _agent(context: click.Context, file: Path | None) -> Iterator[Agent]:
    with _private(), closing(start(_settings(context, file), now())) as agent:
        if agent.disk.quarantined:
            log.error("sổ của agent bị hỏng, đã cất tại %s; bắt đầu sổ mới và đọc lại nguồn", agent.disk.quarantined)
        for warning in agent.warnings():
            log.warning("%s", warning)
        yield agent


@main.command()
@click.argument("directory", type=click.Path(path_type=Path))
def init(directory: Path) -> None:
    """Ghi một agent.toml có chú thích vào thư mục."""
    target = directory / "agent.toml"
    if target.exists():
        raise ConfigError(f"{target}: đã có, không ghi đè")
    directory.mkdir(parents=True, exist_ok=True)
    target.write_text(_sample(), "utf-8")
    click.echo(f"Đã ghi {target}. Sửa tệp này, rồi: nhipso-agent --config {target} check")


def _sample() -> str:
    packaged = resources.files("agent").joinpath("samples/agent.toml")
    # in a checkout the samples stand in config/, where deployers look for them
    return (packaged if packaged.is_file() else Path(__file__).parent.parent / "config" / "agent.toml").read_text(
        "utf-8"
    )


@main.command()
@click.option("--collector", help="Địa chỉ máy chủ của Sở (mặc định: như trong agent.toml).")
@click.option("--code", prompt="Mã ghi danh", help="Mã ghi danh dùng một lần do Sở cấp; không ghi ở đây thì được hỏi.")
@_config_option
@click.pass_context
def enrol(context: click.Context, collector: str | None, code: str, file: Path | None) -> None:
    """Đổi mã ghi danh lấy mã truy cập và cất nó (chỉ agent đọc được)."""
    settings = _settings(context, file)
    target = settings.token_file
    target.parent.mkdir(parents=True, exist_ok=True)
    fresh = target.with_name(target.name + ".new")
    fresh.unlink(missing_ok=True)
    try:
        # Opened before the code is used: it can be used only once.
        with (
            _private(),
            closing(Link(replace(settings, collector=collector.rstrip("/")) if collector else settings)) as link,
            os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as opened,
        ):
            enrolment = link.enrol(code)
            opened.write(enrolment.token + "\n")
        fresh.replace(target)
    finally:
        fresh.unlink(missing_ok=True)
    click.echo(f"Đã ghi danh: agent {enrolment.agent}, cơ sở {', '.join(enrolment.facilities)}. Mã truy cập: {target}")
    missing = sorted(set(settings.facilities) - set(enrolment.facilities))
    if missing:
        raise ConfigError(f"{settings.file}: [agent]: Sở chưa cho agent này gửi cho cơ sở {', '.join(missing)}")


@main.command()
@as_json
@_config_option
@click.pass_context
def check(context: click.Context, as_json: bool, file: Path | None) -> None:
    """Thử mọi nguồn, đọc mấy ngày gần nhất và cho xem những gì SẼ được gửi; không gửi gì."""
    settings = _settings(context, file)
    with tempfile.TemporaryDirectory(prefix="nhipso-check-") as directory:
        sources = checking.check(settings, Path(directory))
    click.echo(json.dumps({"sources": sources}, ensure_ascii=False)) if as_json else printing.check(sources)
    context.exit(0 if all(one["ok"] for one in sources) else 1)


@main.command()
@click.argument("measure")
@_config_option
@click.pass_context
def explain(context: click.Context, measure: str, file: Path | None) -> None:
    """Câu truy vấn, bảng quy đổi và định nghĩa đứng sau một con số."""
    settings = _settings(context, file)
    catalogue = known_catalogue(settings)
    if measure not in catalogue.measures:
        raise ConfigError(f"danh mục không có “{measure}”; đang có: {', '.join(catalogue.measures)}")
    texts = [kind.explanations[measure] for kind in describe(settings, catalogue).values() if measure in kind.measures]
    counted = bool(texts)
    for _, indicator in catalogue.indicators_of(measure):
        base = " + ".join(code for code in catalogue.measures[measure].categories if code not in indicator.excluded)
        texts.append(f"Chỉ số “{indicator.vi}” = ({' + '.join(indicator.adopted)}) ÷ ({base}). {indicator.meaning_vi}")
    click.echo("\n\n".join(texts if counted else [f"Không nguồn nào của agent này đếm “{measure}”.", *texts]))
    context.exit(0 if counted else 1)


@main.command("sheet-template")
@click.argument("measure")
@click.argument("target", metavar="TỆP.xlsx", type=click.Path(path_type=Path))
@_config_option
@click.pass_context
def sheet_template_(context: click.Context, measure: str, target: Path, file: Path | None) -> None:
    """Ghi một bảng tính mẫu để người phụ trách điền một số đếm (đọc bằng kind = "sheet.file")."""
    settings = _settings(context, file)
    sheet_template.write(settings, known_catalogue(settings), measure, target)
    click.echo(f"Đã ghi {target}. Chép vào nơi nguồn sheet.file đọc, rồi điền từ dòng 5.")


@main.command("poll-once")
@_config_option
@click.pass_context
def poll_once(context: click.Context, file: Path | None) -> None:
    """Đọc mọi nguồn một lần và gửi."""
    with _agent(context, file) as agent:
        answered = agent.round()
        waiting, parked = agent.ledger.size()
        click.echo(f"Đã gửi. Còn chờ {waiting}, bị từ chối hoặc để riêng {parked}.")
        for source in agent.settings.sources:
            health = agent.sources.health(source.name)
            if not health.ok:
                click.echo(f"Nguồn {source.name}: {health.error}", err=True)
    context.exit(0 if answered else 1)


@main.command()
@_config_option
@click.pass_context
def run(context: click.Context, file: Path | None) -> None:
    """Chạy như một dịch vụ cho đến khi được dừng."""
    with _agent(context, file) as agent:
        Service(agent).run()
    logging.shutdown()
    os._exit(0)  # a thread that still waits for the collector must not keep us: nothing is lost with it


@main.command()
@click.option("--from", "first", type=Day, required=True, help="Ngày đầu, dạng 2026-01-31.")
@click.option("--to", "last", type=Day, required=True, help="Ngày cuối.")
@click.option("--accept-empty", is_flag=True, help="Ngày cũ nay trống thì gửi là trống, dù Sở đang giữ số khác.")
@_config_option
@click.pass_context
def backfill(context: click.Context, first: datetime, last: datetime, accept_empty: bool, file: Path | None) -> None:
    """Đọc những ngày cũ hơn và gửi."""
    if first > last or last.date() > local_day(now()):
        raise ConfigError("--from phải không sau --to, và --to không sau hôm nay")
    span = DayRange(first.date(), last.date())
    with _agent(context, file) as agent:
        with printing.progress("Đọc nguồn", len(agent.settings.sources) * len(span.slices(SLICE_DAYS))) as advance:

            def one_slice(_: DayRange) -> None:
                advance()

            wish = Wish(span=span, accept_empty=accept_empty, on_slice=one_slice)
            answered = agent.round(wish)
        waiting, parked = agent.ledger.size()
        click.echo(f"Đã gửi. Còn chờ {waiting}, bị từ chối hoặc để riêng {parked}.")
    context.exit(0 if answered else 1)


@main.command()
@as_json
@_config_option
@click.pass_context
def status(context: click.Context, as_json: bool, file: Path | None) -> None:
    """Sổ đếm, các nguồn, lần nhận cuối của Sở, số bị từ chối, giá trị chưa khai báo."""
    settings = _settings(context, file)
    with tempfile.TemporaryDirectory(prefix="nhipso-status-") as directory:
        report = checking.status(settings, Path(directory))
    click.echo(json.dumps(report, ensure_ascii=False)) if as_json else printing.status(report)


if __name__ == "__main__":
    sys.exit(main())
