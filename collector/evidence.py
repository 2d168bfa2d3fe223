"""Files that show where a manual figure comes from: what they are is told by their content, never by their name."""

import hashlib
import io
import zipfile
from dataclasses import dataclass
from pathlib import PurePosixPath

from collector.typography import clean
from contract.errors import BadRequestError, TooLargeError

LARGEST_BYTES = 10 * 1024 * 1024
_LONGEST_NAME = 150
_MOST_PARTS = 5_000
_OFFICE = "application/vnd.openxmlformats-officedocument."
MEDIA_TYPES = {
    "pdf": "application/pdf",
    "png": "image/png",
    "jpeg": "image/jpeg",
    "docx": f"{_OFFICE}wordprocessingml.document",
    "xlsx": f"{_OFFICE}spreadsheetml.sheet",
}
_SUFFIXES = {"pdf": (".pdf",), "png": (".png",), "jpeg": (".jpg", ".jpeg"), "docx": (".docx",), "xlsx": (".xlsx",)}
_OTHER = "tệp minh chứng phải là PDF, ảnh PNG hoặc JPEG, DOCX hoặc XLSX, không mật khẩu, không macro"
_NAMES = {"pdf": "PDF", "png": "ảnh PNG", "jpeg": "ảnh JPEG", "docx": "DOCX", "xlsx": "XLSX"}
_BEGINNINGS = {b"%PDF-": "pdf", b"\x89PNG\r\n\x1a\n": "png", b"\xff\xd8\xff": "jpeg"}
_MAIN_PARTS = {"word/document.xml": "docx", "xl/workbook.xml": "xlsx"}


@dataclass(frozen=True, slots=True)
class File:
    """A file as it is kept: `kind` as its content says, `digest` the SHA-256 of that."""

    name: str
    kind: str
    digest: str
    content: bytes


def checked(name: str, content: bytes) -> File:
    """The file, if it is of a kind that we keep and is called so. Raises BadRequestError, TooLargeError."""
    if len(content) > LARGEST_BYTES:
        raise TooLargeError(f"tệp minh chứng lớn hơn {LARGEST_BYTES // 1024**2} MB")
    if not content:
        raise BadRequestError("tệp minh chứng rỗng")
    # browsers of old sent the whole path
    path = PurePosixPath(clean(name).replace("\\", "/"))
    kind = _kind(content)
    if kind is None:
        raise BadRequestError(
            "tệp minh chứng phải là PDF, ảnh PNG hoặc JPEG, DOCX hoặc XLSX, không mật khẩu, không macro"
        )
    if path.suffix.lower() not in _SUFFIXES[kind]:
        said = f"nội dung là {_NAMES[kind]} nên tên phải có đuôi {_SUFFIXES[kind][0]}"
        raise BadRequestError(f"tên tệp minh chứng không khớp nội dung: {said}")
    stem = path.stem[: _LONGEST_NAME - 5] or "minh-chung"
    return File(f"{stem}{path.suffix.lower()}", kind, hashlib.sha256(content).hexdigest(), content)


def _kind(content: bytes) -> str | None:
    for beginning, kind in _BEGINNINGS.items():
        if content.startswith(beginning):
            return kind
    return _office_kind(content) if content.startswith(b"PK\x03\x04") else None


def _office_kind(content: bytes) -> str | None:
    """Of a package of Office: only its list of parts is looked at, nothing is unpacked."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            names = {one.filename.lower() for one in archive.infolist()}
    except (zipfile.BadZipFile, ValueError, NotImplementedError):
        return None
    if len(names) > _MOST_PARTS or any(one.endswith("vbaproject.bin") for one in names):
        return None
    return next((kind for part, kind in _MAIN_PARTS.items() if {part, "[content_types].xml"} <= names), None)
