"""What holds for every kind that speaks HTTP: nothing but adapters.http knows httpx, and its unpacking is bounded."""

import gzip
import zlib

import pytest

from adapters.http import MOST_BYTES, parsed, unzipped
from contract.errors import SourceChangedError


@pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, 65_537, 1_000_000])
def test_gzip_zlib_and_bare_deflate_come_out_whole(size: int) -> None:
    plain = bytes(number % 251 for number in range(size))
    bare = zlib.compressobj(wbits=-15)
    for packed in (gzip.compress(plain), zlib.compress(plain), bare.compress(plain) + bare.flush()):
        assert unzipped(packed) == plain


@pytest.mark.parametrize("cut", [1, 5, 9, 20])
def test_what_is_cut_short_is_no_answer(cut: int) -> None:
    with pytest.raises(SourceChangedError):
        unzipped(gzip.compress(b"abc" * 100)[:-cut])


def test_a_bomb_stops_at_the_limit() -> None:
    with pytest.raises(SourceChangedError, match="quá dài"):
        unzipped(gzip.compress(b"\0" * (MOST_BYTES + 1)))


@pytest.mark.parametrize("body", [b"", b"{", b"[" * 10_000, b"Infinity", b"-" + b"1" * 5_000, b"\xff\xfe{", b"{}{}"])
def test_what_is_no_json_is_a_change(body: bytes) -> None:
    with pytest.raises(SourceChangedError, match="JSON"):
        parsed(body)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_json_is_read_in_the_encodings_that_mark_themselves(encoding: str) -> None:
    assert parsed('{"tên": "Nguyễn"}'.encode(encoding)) == {"tên": "Nguyễn"}
