"""Run by test_fuzz_bombs in a process of its own with little memory: each bomb at its reader, and what came of it."""

import io
import json
import resource
import sys
import time
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from adapters.http import parsed, unzipped
from contract import catalogue, toml_file, xml
from contract.days import local_day, now
from contract.errors import NhipsoError
from contract.sheets import reading
from contract.tally import Ack, Push

MEMORY = 500 * 1024 * 1024
UNPACKED = 200 * 1024 * 1024
PIECE = 1024 * 1024
LAUGHS = b"<!DOCTYPE x [<!ENTITY a0 'ha'>%s]><x>&a9;</x>" % b"".join(
    b"<!ENTITY a%d '%s'>" % (n, b"&a%d;" % (n - 1) * 10) for n in range(1, 10)
)
Bombs = dict[str, tuple[bytes, Callable[[bytes], object]]]


def packed(piece: bytes, bits: int) -> bytes:
    """200 MB of `piece` in some hundred kilobytes."""
    packer = zlib.compressobj(1, zlib.DEFLATED, bits)
    return b"".join(packer.compress(piece) for _ in range(UNPACKED // len(piece))) + packer.flush()


def workbook(part: str, piece: bytes) -> bytes:
    """A workbook with a part that is 200 MB long when unpacked."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("xl/workbook.xml", '<workbook><sheets><sheet name="1"/></sheets></workbook>')
        with archive.open(part, "w", force_zip64=True) as opened:
            opened.write(b"<worksheet><sheetData>")
            for _ in range(UNPACKED // len(piece)):
                opened.write(piece)
    return stream.getvalue()


def a_sheet(content: bytes) -> object:
    known = catalogue.load()
    asked = {code: measure.cadence for code, measure in known.measures.items()}
    return reading.read(io.BytesIO(content), reading.words(known, asked, {"12001": "12001"}, "12001", local_day(now())))


def a_stream(content: bytes) -> object:
    return sum(1 for _ in xml.elements(io.BytesIO(content), "HOSO"))


def a_file(content: bytes) -> object:
    with TemporaryDirectory() as directory:
        file = Path(directory) / "x.toml"
        file.write_bytes(content)
        return toml_file.read(file)


def bombs() -> Bombs:
    """Name → (bytes, their reader)."""
    spaces, rows = b" " * PIECE, b"<row><c><v>1</v></c></row>" * (PIECE // 26)
    return {
        "xml laughs": (LAUGHS, a_stream),
        "xml laughs inside": (LAUGHS, xml.document),
        "xml deep": (b"<a>" * 1_000_000, a_stream),
        "xml wide": (b"<x>" + b"<a/>" * 8_000_000, a_stream),
        "xml attributes": (b"<x " + b" ".join(b'a%d=""' % n for n in range(1_000_000)) + b"/>", a_stream),
        "xml text": (b"<x>" + b"a" * 60_000_000, a_stream),
        "json deep": (b"[" * 5_000_000, parsed),
        "json digits": (b"9" * 5_000_000, parsed),
        "gzip": (packed(spaces, 31), unzipped),
        "deflate": (packed(spaces, -15), unzipped),
        "xlsx rows": (workbook("xl/worksheets/sheet1.xml", rows), a_sheet),
        "xlsx strings": (workbook("xl/sharedStrings.xml", b"<si><t>a</t></si>" * (PIECE // 17)), a_sheet),
        "csv wide": (b"Ng\xc3\xa0y" + b";" * 15_000_000, a_sheet),
        "csv long": (b"a;b\n" * 3_900_000, a_sheet),
        "toml deep": (b"a = " + b"[" * 200_000, a_file),
        "toml digits": (b"a = " + b"9" * 5_000_000, a_file),
        "ack deep": (b'{"stale": ' + b"[" * 1_000_000, Ack.model_validate_json),
        "push digits": (b'{"agent": ' + b"9" * 1_000_000, Push.model_validate_json),
    }


def main() -> None:
    """Write name → [the error's class or 'read', seconds of the processor] as JSON."""
    made = bombs()
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    said: dict[str, tuple[str, float]] = {}
    for name, (content, read) in made.items():
        started = time.process_time()
        try:
            read(content)
            outcome = "read"
        except NhipsoError as error:
            outcome = f"refused by {type(error).__name__}"
        except Exception as error:
            outcome = type(error).__name__
        said[name] = outcome, round(time.process_time() - started, 2)
    sys.stdout.write(json.dumps(said))


if __name__ == "__main__":
    main()
