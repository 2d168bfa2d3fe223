"""The adapters' only door to lxml: XML that came from outside, read piece by piece and without trusting it.

Every document reaches the parser as valid UTF-8 that we made, so what is looked for here (a DOCTYPE) is exactly what
the parser would see. libxml2's own messages quote the document and are never passed on.
"""

import codecs
import re
from collections.abc import Iterator
from itertools import chain
from typing import Any, BinaryIO

from lxml import etree

from contract.errors import SourceChangedError

Element = etree._Element

# Up to here a document is parsed in one go, which is twice as fast as in chunks; most files are far smaller.
_WHOLE = 1024 * 1024
_CHUNK = 256 * 1024
# What may lie between the ends of two wanted elements. One element costs libxml2 some 250 bytes of memory, so a
# million tags and attributes stay below the memory the reader may take, whatever the file holds.
_MOST_BYTES = 32 * 1024 * 1024
_MOST_MARKS = 1_000_000

# huge_tree stays off: it would lift libxml2's own limits on depth (256), text (10 MB) and entity growth.
_SAFE: dict[str, Any] = {
    "encoding": "utf-8",
    "resolve_entities": False,
    "load_dtd": False,
    "no_network": True,
    "huge_tree": False,
    "remove_comments": True,
    "remove_pis": True,
    "collect_ids": False,
}
_WHOLE_PARSER = etree.XMLParser(**_SAFE)

_PROLOG = re.compile(rb"(?>\s+|<\?.*?\?>|<!--.*?-->)*+", re.DOTALL)
_DECLARED = re.compile(rb"<\?xml[^>]*?encoding\s*=\s*[\"']([A-Za-z0-9._-]+)")
_UTF16_STARTS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16", b"<\x00": "utf-16-le", b"\x00<": "utf-16-be"}
_ONE_BYTE = {"windows-1258": "cp1258", "windows-1252": "cp1252", "iso-8859-1": "latin-1"}


def elements(stream: BinaryIO, *names: str) -> Iterator[Element]:
    """Each element of one of the local `names`, whatever its prefix or namespace, when it is complete.

    An element and all that came before it may be freed as soon as the next one is asked for, so memory stays bounded
    in files of any length. Any encoding that marks itself is read; bytes that are not valid in it become U+FFFD (old
    TCVN3 and VNI text declares itself UTF-8, while the codes, numbers and dates beside it are plain ASCII).
    Raises SourceChangedError, possibly after some elements were given: not XML, cut short, with a DOCTYPE (so no
    entity is ever expanded and nothing is ever fetched), nested deeper than 256, or not divided by `names`.
    """
    tags = ["{*}" + name for name in names]
    chunks = _utf8(stream)
    head = next(chunks)
    _refuse_doctype(head)
    second = next(chunks, None)
    try:
        if second is None:
            yield from etree.fromstring(head, _WHOLE_PARSER).iter(*tags)
        else:
            yield from _streamed(chain((head, second), chunks), tags)
    except etree.XMLSyntaxError as error:
        line, column = error.position
        raise SourceChangedError(f"XML hỏng, bị cắt cụt hoặc lồng quá sâu, ở dòng {line}, cột {column}") from None


def child(element: Element | None, *path: str) -> Element | None:
    """The element reached from `element` through children of these local names (the first of each); None if none."""
    for name in path:
        if element is None:
            return None
        element = next(element.iterchildren("{*}" + name), None)
    return element


def text(element: Element | None, *path: str) -> str:
    """The trimmed text of `child(element, *path)`; '' where there is none."""
    found = child(element, *path)
    return "" if found is None else (found.text or "").strip()


def fields(element: Element | None) -> dict[str, str]:
    """Local name → trimmed text of every direct child; '' for a child without text, the last of several equal ones.

    One pass over the children: cheaper than asking for three of them.
    """
    if element is None:
        return {}
    return {one.tag.rpartition("}")[2]: (one.text or "").strip() for one in element}


def _refuse_doctype(head: bytes) -> None:
    prolog = _PROLOG.match(head)
    if head.startswith(b"<!", prolog.end() if prolog else 0):
        raise SourceChangedError("XML có khai báo DOCTYPE hoặc phần mở đầu quá dài, không đọc vì lý do an toàn")


def _streamed(chunks: Iterator[bytes], tags: list[str]) -> Iterator[Element]:
    parser = etree.XMLPullParser(("end",), tag=tags, **_SAFE)
    size = marks = 0
    for chunk in chunks:
        parser.feed(chunk)
        size, marks = size + len(chunk), marks + chunk.count(b"<") + chunk.count(b"=")
        for element in _finished(parser):
            size = marks = 0
            yield element
        if size > _MOST_BYTES or marks > _MOST_MARKS:
            raise SourceChangedError("một phần của tệp XML quá lớn: có thể không phải loại tệp cần đọc")
    parser.close()
    yield from _finished(parser)


def _finished(parser: etree.XMLPullParser) -> Iterator[Element]:
    for _, element in parser.read_events():
        assert isinstance(element, Element)
        yield element
        _free(element)


def _free(element: Element) -> None:
    """Drop what was read. The element itself and its tail stay: the parser may still be writing behind it."""
    element.clear(keep_tail=True)  # type: ignore[call-arg]  # unknown to the stubs
    for one in (element, *element.iterancestors()):
        parent = one.getparent()
        while parent is not None and (before := one.getprevious()) is not None:
            parent.remove(before)


def _utf8(stream: BinaryIO) -> Iterator[bytes]:
    """The document as valid UTF-8 without a byte-order mark, in one or more chunks."""
    head = stream.read(_WHOLE)
    codec = _UTF16_STARTS.get(head[:2]) or _declared(head)
    chunks = _checked(head, stream) if codec == "utf-8" else _recoded(head, stream, codec)
    # Blank lines before the declaration are a frequent slip of exporters, and the parser would refuse them.
    yield next(chunks).removeprefix(codecs.BOM_UTF8).lstrip()
    yield from chunks


def _declared(head: bytes) -> str:
    """The codec of an 8-bit document: UTF-8 unless it says one of a few others.

    One that says UTF-16 was written by a .NET text writer and is UTF-8; one that says anything unheard of is taken as
    UTF-8 too: what is ASCII in it comes out right.
    """
    match = _DECLARED.match(head.removeprefix(codecs.BOM_UTF8).lstrip()[:200])
    return _ONE_BYTE.get(match[1].decode("ascii").lower(), "utf-8") if match else "utf-8"


def _checked(data: bytes, stream: BinaryIO) -> Iterator[bytes]:
    final = len(data) < _WHOLE
    while True:
        try:
            consumed = codecs.utf_8_decode(data, "strict", final)[1]
            yield data[:consumed]
        except UnicodeDecodeError:
            mended, consumed = codecs.utf_8_decode(data, "replace", final)
            yield mended.encode()
        if final:
            return
        more = stream.read(_CHUNK)
        data, final = data[consumed:] + more, len(more) < _CHUNK


def _recoded(data: bytes, stream: BinaryIO, codec: str) -> Iterator[bytes]:
    decoder = codecs.getincrementaldecoder(codec)("replace")
    final = len(data) < _WHOLE
    yield decoder.decode(data, final).encode()
    while not final:
        more = stream.read(_CHUNK)
        final = len(more) < _CHUNK
        yield decoder.decode(more, final).encode()
