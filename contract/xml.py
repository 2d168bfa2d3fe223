"""The only door to lxml: XML that came from outside, read piece by piece and without trusting it.

The parser is told that everything is UTF-8 and given nothing else, so what is looked for here before it (a DOCTYPE) is
exactly what it would see. libxml2's own messages quote the document and are never passed on.
"""

import codecs
import re
from collections.abc import Iterator
from itertools import chain
from typing import Any, BinaryIO, cast

from lxml import etree

from contract.errors import SourceChangedError

Element = etree._Element

# A document that fits is parsed in one go, at half the cost of feeding a parser. Most invoices do, and a larger buffer
# would cost more to allocate than such a file to read.
_CHUNK = 64 * 1024
# What may lie between the ends of two wanted elements. A tag or attribute costs libxml2 some 250 bytes of memory, so
# the reader stays small whatever the file holds.
_MOST_BYTES = 32 * 1024 * 1024
_MOST_MARKS = 600_000
# So few bytes need no counting, whatever they are.
_FEW_BYTES = 256 * 1024
# A document inside a document describes one case.
_MOST_INNER_BYTES = 8 * 1024 * 1024
_MOST_INNER_MARKS = 100_000

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
_DECLARED = re.compile(rb"(?:\xef\xbb\xbf)?\s*<\?xml[^>]*?encoding\s*=\s*[\"']([A-Za-z0-9._-]+)")
_UTF16_STARTS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16", b"<\x00": "utf-16-le", b"\x00<": "utf-16-be"}
_ONE_BYTE = {"windows-1258": "cp1258", "windows-1252": "cp1252", "iso-8859-1": "latin-1"}


def elements(stream: BinaryIO, *names: str) -> Iterator[Element]:
    """Each element of one of the local `names`, whatever its prefix or namespace, when it is complete.

    An element and all that came before it may be freed as soon as the next one is asked for, so memory stays bounded
    in files of any length. Any encoding that marks itself is read; bytes that are not valid in it become U+FFFD (old
    TCVN3 and VNI text declares itself UTF-8, while the codes, numbers and dates beside it are plain ASCII).
    Raises SourceChangedError, possibly after some elements were given: not XML, cut short, with a DOCTYPE (so no
    entity is ever expanded and nothing is ever fetched), nested deeper than 256, or not divided by `names`.
    Of a document that breaks off, what was complete before the break is given first.
    """
    tags = ["{*}" + name for name in names]
    data = _filled(stream)
    codec = _UTF16_STARTS.get(data[:2]) or _declared(data)
    try:
        root = _whole(data, codec) if len(data) < _CHUNK else None
        if root is None:
            yield from _streamed(_recoded(chain((data,), _chunks(stream)), codec), tags)
        else:
            yield from root.iter(*tags)
    except etree.XMLSyntaxError as error:
        raise _broken(error) from None


def document(data: bytes) -> Element:
    """The root of the small document that is `data`, trusted as little as the files of `elements`.

    Raises SourceChangedError, also where it is larger than what is said of one case can be.
    """
    marks = data.count(b"<") + data.count(b"=") if len(data) > _FEW_BYTES else 0
    if len(data) > _MOST_INNER_BYTES or marks > _MOST_INNER_MARKS:
        raise SourceChangedError("XML bên trong quá lớn")
    codec = _UTF16_STARTS.get(data[:2]) or _declared(data)
    root = _whole(data, codec)
    try:
        return etree.fromstring(_begun(data.decode(codec, "replace").encode()), _WHOLE_PARSER) if root is None else root
    except etree.XMLSyntaxError as error:
        raise _broken(error) from None


def child(element: Element | None, *path: str) -> Element | None:
    """The element reached from `element` through children of these local names (the first of each); None if none."""
    for name in path:
        if element is None:
            return None
        # Wanted children stand near the front; a Python loop finds them before lxml's own matcher is set up.
        for one in element:
            if one.tag == name or one.tag.endswith("}" + name):
                element = one
                break
        else:
            return None
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


def first_with(element: Element, name: str) -> Element | None:
    """The first element, in document order and `element` included, that has a child of this local name."""
    found = next(element.iter("{*}" + name), None)
    return None if found is None else found.getparent()


def _whole(data: bytes, codec: str) -> Element | None:
    """The quick way; None where it fails, perhaps only for bytes that are not UTF-8."""
    if codec != "utf-8":
        return None
    try:
        return etree.fromstring(_begun(data), _WHOLE_PARSER)
    except etree.XMLSyntaxError:
        return None


def _broken(error: etree.XMLSyntaxError) -> SourceChangedError:
    line, column = error.position
    return SourceChangedError(f"XML hỏng, bị cắt cụt hoặc lồng quá sâu, ở dòng {line}, cột {column}")


def _streamed(chunks: Iterator[bytes], tags: list[str]) -> Iterator[Element]:
    parser = etree.XMLPullParser(("end",), tag=tags, **_SAFE)
    size = marks = 0
    for chunk in chain((_begun(next(chunks)),), chunks):
        try:
            parser.feed(chunk)
        except etree.XMLSyntaxError:
            yield from _ended(parser)
            raise
        size += len(chunk)
        if size > _FEW_BYTES:
            marks += chunk.count(b"<") + chunk.count(b"=")
        last = None
        for last in _ended(parser):
            yield last
        if last is not None:
            _free_before(last)
            size = marks = 0
        elif size > _MOST_BYTES or marks > _MOST_MARKS:
            raise SourceChangedError("một phần của tệp XML quá lớn: có thể không phải loại tệp cần đọc")
    parser.close()
    yield from _ended(parser)


def _ended(parser: etree.XMLPullParser) -> Iterator[Element]:
    return (cast(Element, element) for _, element in parser.read_events())


def _free_before(element: Element) -> None:
    """Drop all that ended before `element`. It stays itself: the parser may still be writing behind it."""
    parent = element.getparent()
    while parent is not None:
        del parent[: parent.index(element)]
        element, parent = parent, parent.getparent()


def _begun(head: bytes) -> bytes:
    """The beginning of a document, without what exporters let slip in before it. Raises SourceChangedError."""
    head = head.removeprefix(codecs.BOM_UTF8).lstrip()
    prolog = _PROLOG.match(head)
    start = prolog.end() if prolog else 0
    root = head[start : start + 2]
    if root == b"<!":
        raise SourceChangedError("XML có khai báo DOCTYPE hoặc phần mở đầu quá dài, không đọc vì lý do an toàn")
    # Anything but the root's own tag could let a DOCTYPE follow in a later chunk.
    if len(root) < 2 or not root.startswith(b"<") or root == b"<?":
        raise SourceChangedError("không phải là XML")
    return head


def _declared(head: bytes) -> str:
    """The codec of an 8-bit document: UTF-8 unless it says one of a few others.

    One that says UTF-16 was written by a .NET text writer and is UTF-8; one that says anything unheard of is taken as
    UTF-8 too: what is ASCII in it comes out right.
    """
    match = _DECLARED.match(head, 0, 300)
    return _ONE_BYTE.get(match[1].decode("ascii").lower(), "utf-8") if match else "utf-8"


def _recoded(chunks: Iterator[bytes], codec: str) -> Iterator[bytes]:
    """`chunks` as valid UTF-8, wherever they were cut."""
    if codec != "utf-8":
        decoder = codecs.getincrementaldecoder(codec)("replace")
        yield from (decoder.decode(chunk).encode() for chunk in chunks)
        return
    rest = b""
    for chunk in chunks:
        if not rest and chunk.isascii():
            yield chunk
            continue
        data = rest + chunk
        try:
            end = codecs.utf_8_decode(data, "strict", False)[1]
            yield data[:end]
        except UnicodeDecodeError:
            mended, end = codecs.utf_8_decode(data, "replace", False)
            yield mended.encode()
        rest = data[end:]


def _chunks(stream: BinaryIO) -> Iterator[bytes]:
    while chunk := stream.read(_CHUNK):
        yield chunk


def _filled(stream: BinaryIO) -> bytes:
    """A full chunk, or all there is: an unbuffered file may give less than it was asked for."""
    data = stream.read(_CHUNK)
    while len(data) < _CHUNK and (more := stream.read(_CHUNK - len(data))):
        data += more
    return data
