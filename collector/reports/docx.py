"""The report as a Word document that an officer edits: real headings, real tables. The only door to python-docx."""

import io
from collections.abc import Iterable, Sequence
from datetime import datetime, time
from typing import Any
from xml.sax.saxutils import escape

from docx import Document
from docx.enum.section import WD_ORIENT, WD_SECTION
from docx.enum.style import WD_STYLE_TYPE
from docx.enum.text import WD_ALIGN_PARAGRAPH
from docx.oxml import parse_xml
from docx.oxml.ns import nsdecls, qn
from docx.shared import Mm, Pt, RGBColor

from collector.reports import form
from collector.reports.blocks import Block, Heading, Paragraph, Report, Table
from collector.reports.parcel import packed

_FONT = "Times New Roman"
_TWIPS = 1440 / 25.4
_BODY = form.WIDTH - form.LEFT - form.RIGHT
_ANNEX = form.HEIGHT - form.LEFT - form.RIGHT
_LEFT, _RIGHT = 65, _BODY - 65
_LEFT_ALIGNED, _CENTRE, _JUSTIFY = WD_ALIGN_PARAGRAPH.LEFT, WD_ALIGN_PARAGRAPH.CENTER, WD_ALIGN_PARAGRAPH.JUSTIFY
_STYLES = {"left": "Bang", "centre": "BangGiua", "right": "BangPhai"}


def write(report: Report) -> bytes:
    """The file."""
    document = Document()
    _leave_out(document)
    _styles(document)
    _page(document.sections[0])
    properties = document.core_properties
    properties.title = " ".join([report.kind.capitalize(), *report.subject])
    properties.author = properties.last_modified_by = report.letterhead.issuer
    properties.created = properties.modified = datetime.combine(report.drawn_up, time())
    properties.language, properties.comments = "vi-VN", ""
    _head(document, report)
    _blocks(document, report.body, _BODY)
    document.paragraphs[-1].paragraph_format.keep_with_next = True  # the signature never stands alone on a page
    _foot(document, report)
    for annex in report.annexes:
        section = document.add_section(WD_SECTION.NEW_PAGE)
        _page(section, is_annex=True)
        _line(document, annex.number, "Heading 1", align=_CENTRE)
        _line(document, annex.title.upper(), "Giua", bold=True)
        _line(document, form.attached(report), "Giua", italic=True).paragraph_format.space_after = Pt(6)
        _blocks(document, annex.blocks, _ANNEX)
    target = io.BytesIO()
    document.save(target)
    return packed(target.getvalue(), {})


# --- styles and pages


def _leave_out(document: Any) -> None:
    """What python-docx's template has of Word 2010, which would contradict our styles; the picture of an empty page."""
    for rels, kind in ((document.part.rels, "stylesWithEffects"), (document.part.package.rels, "thumbnail")):
        for name in [name for name, one in rels.items() if one.reltype.endswith(kind)]:
            del rels[name]


def _styles(document: Any) -> None:
    normal = document.styles["Normal"]
    _shape(normal, form.TEXT)
    language = normal.element.get_or_add_rPr()
    language.append(parse_xml(f'<w:lang {nsdecls("w")} w:val="vi-VN" w:eastAsia="vi-VN"/>'))
    normal.paragraph_format.alignment = _JUSTIFY
    normal.paragraph_format.space_after = normal.paragraph_format.space_before = Pt(3)
    normal.paragraph_format.line_spacing = 1.1
    normal.paragraph_format.first_line_indent = Mm(10)
    for level in (1, 2):
        heading = document.styles[f"Heading {level}"]
        _shape(heading, form.TEXT, bold=True)
        heading.paragraph_format.space_before = heading.paragraph_format.space_after = Pt(6)
        heading.paragraph_format.keep_with_next, heading.paragraph_format.alignment = True, _LEFT_ALIGNED
    note = _style(document, "GhiChu", form.SMALL, italic=True)
    note.paragraph_format.alignment = _JUSTIFY
    centred = _style(document, "Giua", form.TEXT)
    centred.paragraph_format.alignment, centred.paragraph_format.first_line_indent = _CENTRE, Mm(0)
    centred.paragraph_format.space_before = centred.paragraph_format.space_after = Pt(0)
    for name, align in zip(_STYLES.values(), (_LEFT_ALIGNED, _CENTRE, WD_ALIGN_PARAGRAPH.RIGHT), strict=True):
        cell = _style(document, name, form.TABLE)
        cell.paragraph_format.alignment, cell.paragraph_format.first_line_indent = align, Mm(0)
        cell.paragraph_format.space_before = cell.paragraph_format.space_after = Pt(2)
        cell.paragraph_format.line_spacing = 1.0


def _style(document: Any, name: str, size: int, italic: bool = False) -> Any:
    style = document.styles.add_style(name, WD_STYLE_TYPE.PARAGRAPH)
    style.base_style = document.styles["Normal"]
    _shape(style, size, italic=italic)
    return style


def _shape(style: Any, size: int, bold: bool = False, italic: bool = False) -> None:
    style.font.name, style.font.size = _FONT, Pt(size)
    style.font.bold, style.font.italic, style.font.color.rgb = bold, italic, RGBColor(0, 0, 0)
    fonts = style.element.rPr.rFonts
    for name in ("asciiTheme", "hAnsiTheme", "eastAsiaTheme", "cstheme"):
        fonts.attrib.pop(qn(f"w:{name}"), None)  # the theme's fonts would win
    for name in ("ascii", "hAnsi", "eastAsia", "cs"):
        fonts.set(qn(f"w:{name}"), _FONT)


def _page(section: Any, is_annex: bool = False) -> None:
    """A4, its margins, the page number centred at the top from the second page on; annexes are numbered anew."""
    section.page_width, section.page_height = Mm(form.WIDTH), Mm(form.HEIGHT)
    if is_annex:
        section.orientation = WD_ORIENT.LANDSCAPE
        section.page_width, section.page_height = section.page_height, section.page_width
        for old in section._sectPr.findall(qn("w:pgNumType")):
            section._sectPr.remove(old)
        number = parse_xml(f'<w:pgNumType {nsdecls("w")} w:start="1"/>')
        section._sectPr.insert_element_before(number, "w:cols", "w:titlePg", "w:docGrid")
    section.top_margin, section.bottom_margin = Mm(form.TOP), Mm(form.BOTTOM)
    section.left_margin, section.right_margin = Mm(form.LEFT), Mm(form.RIGHT)
    section.header_distance = section.footer_distance = Mm(10)
    section.different_first_page_header_footer = True
    if not is_annex:
        section.first_page_header.is_linked_to_previous = False
        paragraph = section.header.paragraphs[0]
        paragraph.style = "Giua"
        field = f'<w:fldSimple {nsdecls("w")} w:instr=" PAGE "><w:r><w:t>2</w:t></w:r></w:fldSimple>'
        paragraph._p.append(parse_xml(field))


# --- head and foot


def _head(document: Any, report: Report) -> None:
    issued = report.letterhead
    left = [(issued.parent.upper(), 13, ""), (issued.issuer.upper(), 13, "b")]
    right = [(form.NATION, 13, "b"), (form.MOTTO, 14, "b")]
    table = _plain_table(document, (_LEFT, _RIGHT))
    _fill(table.cell(0, 0), left, rule=_LEFT * 0.34)
    _fill(table.cell(0, 1), right, rule=_RIGHT * 0.17)
    row = table.add_row()
    _fill(row.cells[0], [(form.number_line(report), 13, "")])
    _fill(row.cells[1], [(form.dated(report), 14, "i")])
    title = _line(document, report.kind, "Giua", bold=True)
    title.paragraph_format.space_before = Pt(18)
    *subject, days = report.subject
    for text in subject:
        _line(document, text, "Giua", bold=True)
    _line(document, days, "Giua", italic=True)
    _rule(document.add_paragraph(style="Giua"), _BODY * 0.4)


def _foot(document: Any, report: Report) -> None:
    table = _plain_table(document, (_BODY * 0.5, _BODY * 0.5))
    table.rows[0]._tr.get_or_add_trPr().append(parse_xml(f"<w:cantSplit {nsdecls('w')}/>"))
    _fill(
        table.cell(0, 0),
        [("Nơi nhận:", 12, "bi"), *((one, form.RECIPIENTS, "") for one in form.recipients(report))],
        _LEFT_ALIGNED,
    )
    signer = [(one, 14, "b") for one in report.letterhead.signer_title]
    _fill(table.cell(0, 1), [*signer, *[("", 14, "")] * 4, ("", 14, "b")])


def _plain_table(document: Any, widths: Sequence[float]) -> Any:
    table = document.add_table(rows=1, cols=len(widths))
    table.autofit = False
    for column, width in zip(table.columns, widths, strict=True):
        column.width = Mm(width)
        column.cells[0].width = Mm(width)
    margins = "".join(f'<w:{side} w:w="0" w:type="dxa"/>' for side in ("left", "right"))
    cell_margins = parse_xml(f"<w:tblCellMar {nsdecls('w')}>{margins}</w:tblCellMar>")
    table._tbl.tblPr.insert_element_before(cell_margins, "w:tblLook")
    return table


def _fill(cell: Any, lines: Sequence[tuple[str, int, str]], align: Any = _CENTRE, rule: float | None = None) -> None:
    """Lines of text, size, and `b`, `i`; `rule`: the indent on both sides of a line beneath, in millimetres."""
    for place, (text, size, marks) in enumerate(lines):
        paragraph = cell.paragraphs[0] if place == 0 else cell.add_paragraph()
        paragraph.style = "Giua"
        paragraph.alignment = align
        run = paragraph.add_run(text)
        run.font.size, run.bold, run.italic = Pt(size), "b" in marks, "i" in marks
    if rule is not None:
        _rule(cell.add_paragraph(style="Giua"), rule)


def _rule(paragraph: Any, indent: float) -> None:
    """A short line, as a border above an empty paragraph."""
    paragraph.paragraph_format.left_indent = paragraph.paragraph_format.right_indent = Mm(indent)
    paragraph.paragraph_format.space_before = Pt(2)
    paragraph.paragraph_format.line_spacing = Pt(8)
    border = '<w:top w:val="single" w:sz="6" w:space="1" w:color="000000"/>'
    properties = paragraph._p.get_or_add_pPr()
    properties.insert_element_before(
        parse_xml(f"<w:pBdr {nsdecls('w')}>{border}</w:pBdr>"),
        *("w:shd", "w:tabs", "w:suppressAutoHyphens", "w:spacing", "w:ind", "w:jc", "w:rPr"),
    )


def _line(document: Any, text: str, style: str, bold: bool = False, italic: bool = False, align: Any = None) -> Any:
    paragraph = document.add_paragraph(style=style)
    run = paragraph.add_run(text)
    if bold or italic:
        run.bold, run.italic = bold, italic
    if align is not None:
        paragraph.alignment, paragraph.paragraph_format.first_line_indent = align, Mm(0)
    return paragraph


# --- blocks


def _blocks(document: Any, blocks: Iterable[Block], width: float) -> None:
    for block in blocks:
        match block:
            case Heading():
                document.add_heading(block.text, block.level)
            case Paragraph():
                document.add_paragraph(block.text, "GhiChu" if block.is_note else None)
            case Table():
                _table(document, block, width)


def _table(document: Any, block: Table, width: float) -> None:
    """Written as XML: python-docx takes a minute for the cells of 600 facilities."""
    columns, rows = block.page()
    total = sum(one.width for one in columns)
    widths = [round(width * one.width / total * _TWIPS) for one in columns]
    sides = ("top", "left", "bottom", "right", "insideH", "insideV")
    borders = "".join(f'<w:{side} w:val="single" w:sz="4" w:space="0" w:color="000000"/>' for side in sides)
    grid = "".join(f'<w:gridCol w:w="{one}"/>' for one in widths)
    margins = "".join(f'<w:{side} w:w="60" w:type="dxa"/>' for side in ("left", "right"))
    properties = (
        f'<w:tblPr><w:tblW w:w="{sum(widths)}" w:type="dxa"/><w:tblBorders>{borders}</w:tblBorders>'
        f'<w:tblLayout w:type="fixed"/><w:tblCellMar>{margins}</w:tblCellMar></w:tblPr>'
    )
    head = _row([one.title for one in columns], ["BangGiua"] * len(columns), widths, is_head=True)
    styles = [_STYLES[one.align] for one in columns]
    lines = "".join(_row(row, styles, widths) for row in rows)
    table = parse_xml(f"<w:tbl {nsdecls('w')}>{properties}<w:tblGrid>{grid}</w:tblGrid>{head}{lines}</w:tbl>")
    document.element.body.insert_element_before(table, "w:sectPr")
    gap = document.add_paragraph(style="Bang")  # two tables in a row would become one
    gap.paragraph_format.space_before = gap.paragraph_format.space_after = Pt(0)
    gap.paragraph_format.line_spacing = Pt(4)


def _row(cells: Sequence[str], styles: Sequence[str], widths: Sequence[int], is_head: bool = False) -> str:
    """A row that no page break cuts; the head is repeated on each page."""
    bold = "<w:rPr><w:b/></w:rPr>" if is_head else ""
    text = "".join(
        f'<w:tc><w:tcPr><w:tcW w:w="{width}" w:type="dxa"/><w:vAlign w:val="center"/></w:tcPr><w:p><w:pPr>'
        f'<w:pStyle w:val="{style}"/></w:pPr><w:r>{bold}<w:t xml:space="preserve">{escape(cell)}</w:t></w:r></w:p>'
        "</w:tc>"
        for cell, style, width in zip(cells, styles, widths, strict=True)
    )
    return f"<w:tr><w:trPr><w:cantSplit/>{'<w:tblHeader/>' if is_head else ''}</w:trPr>{text}</w:tr>"
