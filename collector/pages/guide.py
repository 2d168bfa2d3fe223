"""The runbook as a page: what each alert means and what to do. Mails link to its headings; nobody need log in."""

from functools import cache
from importlib import resources
from itertools import pairwise
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Depends
from fastapi.responses import Response
from markdown_it import MarkdownIt

from collector.pages.door import anyone
from collector.pages.rendering import Reader, page

router = APIRouter(include_in_schema=False)


@router.get("/docs/runbook")
def runbook(found: Annotated[Reader, Depends(anyone)]) -> Response:
    """docs/runbook.md; a heading's anchor is its text in small letters."""
    return page(found, "guide.html", text=_runbook())


@cache
def _runbook() -> str:
    packaged = resources.files("collector").joinpath("samples/runbook.md")
    # in a checkout it stands in docs/, where people look for it
    file = packaged if packaged.is_file() else Path(__file__).parents[2] / "docs" / "runbook.md"
    markdown = MarkdownIt("commonmark").enable("table")
    tokens = markdown.parse(file.read_text("utf-8"))
    for token, following in pairwise(tokens):
        if token.type == "heading_open":
            token.attrSet("id", following.content.strip().lower())
    return str(markdown.renderer.render(tokens, markdown.options, {}))
