"""The report as a PDF, set by Typst: fonts embedded, headings and tables marked. The only door to typst.

Liberation Serif has the measures of Times New Roman. A machine that has neither (Debian: fonts-liberation2) sets the
report in the serif that Typst carries. Nothing is fetched.
"""

import json
import os
from collections.abc import Iterator
from functools import cache
from importlib import resources
from pathlib import Path

import typst
from fontTools.ttLib import TTFont

from collector.reports import form
from collector.reports.blocks import Block, Heading, Paragraph, Report, Table

_CARRIED = "Libertinus Serif"
# family → its regular face as systems name the file
_FACES = {
    "Liberation Serif": "LiberationSerif-Regular.ttf",
    "Times New Roman": "times.ttf",
    "Tinos": "Tinos-Regular.ttf",
}


def write(report: Report) -> bytes:
    """The file."""
    template = resources.files("collector.reports").joinpath("report.typ").read_bytes()
    family, fonts = font()
    content: bytes = typst.compile(
        template,
        sys_inputs={"report": json.dumps(_plain(report, family))},
        format="pdf",
        font_paths=fonts,
    )
    return content


@cache
def font() -> tuple[str, typst.Fonts]:
    """The family to set in, and where Typst finds it; other fonts of the system are not looked at."""
    for family, face in _FACES.items():
        for file in _files(face):
            if has_vietnamese(file):
                return family, typst.Fonts(include_system_fonts=False, font_paths=[file.parent])
    return _CARRIED, typst.Fonts(include_system_fonts=False)


def has_vietnamese(file: Path) -> bool:
    """Whether a font has the letters: Liberation has them from 2.0 on, Debian 12 still delivers 1.07 beside it."""
    with TTFont(file, lazy=True) as face:
        return {ord(one) for one in "ƠơƯưẠạỆệỸỹ"} <= set(face.getBestCmap())


def _files(name: str) -> Iterator[Path]:
    home = Path.home() / ".local/share/fonts"
    windows = Path(os.environ.get("WINDIR", "C:/Windows")) / "Fonts"
    for directory in (Path("/usr/share/fonts"), Path("/usr/local/share/fonts"), home, windows):
        yield from sorted(directory.rglob(name))


def _plain(report: Report, family: str) -> dict[str, object]:
    issued = report.letterhead
    return {
        "font": family,
        "nation": form.NATION,
        "motto": form.MOTTO,
        "kind": report.kind,
        "parent": issued.parent.upper(),
        "issuer": issued.issuer.upper(),
        "author": issued.issuer,
        "number": form.number_line(report),
        "dated": form.dated(report),
        "subject": report.subject,
        "body": [_block(one) for one in report.body],
        "recipients": form.recipients(report),
        "signer": issued.signer_title,
        "attached": form.attached(report),
        "annexes": [
            {"number": one.number, "title": one.title.upper(), "blocks": [_block(block) for block in one.blocks]}
            for one in report.annexes
        ],
    }


def _block(block: Block) -> dict[str, object]:
    match block:
        case Heading():
            return {"kind": "heading", "level": block.level, "text": block.text}
        case Paragraph():
            return {"kind": "note" if block.is_note else "paragraph", "text": block.text}
        case Table():
            columns, rows = block.page()
            return {
                "kind": "table",
                "titles": [one.title for one in columns],
                "widths": [one.width for one in columns],
                "aligns": [one.align for one in columns],
                "cells": [cell for row in rows for cell in row],
            }
