"""The command nhipso-dashboards. Exit codes: 0 done, 1 something is not as it should be, 2 wrong usage or config."""

import sys
from collections.abc import Mapping
from datetime import date
from pathlib import Path

import click

from contract import __version__
from contract.days import local_day, now
from contract.errors import ConfigError
from dashboards import boards, routes, rules
from dashboards.settings import Settings, load


@click.group()
@click.option(
    "--config",
    "file",
    type=click.Path(path_type=Path),
    default=Path("dashboards.toml"),
    help="Tệp cấu hình (mặc định: dashboards.toml ở thư mục hiện tại).",
)
@click.version_option(__version__)
@click.pass_context
def main(context: click.Context, file: Path) -> None:
    """Bảng Grafana, luật cảnh báo Prometheus và đường gửi Alertmanager của nhipso."""
    context.obj = file


@main.command()
@click.argument("directory", type=click.Path(path_type=Path, file_okay=False))
@click.pass_context
def build(context: click.Context, directory: Path) -> None:
    """Ghi tất cả vào DIRECTORY: grafana/, prometheus/, alertmanager/."""
    files = _files(_settings(context), local_day(now()))
    for name, text in files.items():
        target = directory / name
        target.parent.mkdir(parents=True, exist_ok=True)
        # a Telegram token stands in Alertmanager's: 0.25 reads none from a file
        mode = 0o640 if name.startswith("alertmanager/") else 0o644
        target.touch(mode)
        target.chmod(mode)
        target.write_text(text, "utf-8")
    click.echo(f"Đã ghi {len(files)} tệp vào {directory}")


@main.command()
@click.pass_context
def check(context: click.Context) -> None:
    """Kiểm tra những gì `build` sẽ ghi; nêu tên mọi chỗ sai."""
    settings = _settings(context)
    files = _files(settings, local_day(now()))
    problems = [problem for part in (boards, rules, routes) for problem in part.problems(settings, files)]
    for problem in problems:
        click.echo(problem, err=True)
    click.echo(f"{len(files)} tệp, {len(problems)} chỗ sai")
    sys.exit(1 if problems else 0)


def _files(settings: Settings, today: date) -> dict[str, str]:
    files: dict[str, str] = {}
    for part in (boards, rules, routes):
        made: Mapping[str, str] = part.files(settings, today)
        files |= made
    return files


def _settings(context: click.Context) -> Settings:
    try:
        return load(context.obj)
    except ConfigError as error:
        for problem in error.problems:
            click.echo(problem, err=True)
        sys.exit(2)


if __name__ == "__main__":
    main()
