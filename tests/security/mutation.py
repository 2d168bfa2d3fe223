"""Foreign bytes for the fuzz tests: true samples that something has happened to, and what their readers may say.

`NHIPSO_FUZZ=5000` asks for so many examples of each, at random; without it there are few, and always the same.
"""

import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

EXAMPLES = int(os.environ.get("NHIPSO_FUZZ", "0"))
T = TypeVar("T", bound=Callable[..., Any])
# Of the processor, so that a busy machine says nothing.
_MOST_SECONDS = 3.0
TOKENS = (
    *(
        b"",
        b"\0",
        b"\xff\xfe",
        b"\xef\xbb\xbf",
        b"<",
        b">",
        b"&",
        b"&#0;",
        b"&x;",
        b"]]>",
        b"<![CDATA[",
        b"</",
        b"<!--",
    ),
    *(
        b'<!DOCTYPE x [<!ENTITY a "aaaa">]>',
        b"\xc3\x28",
        "ế".encode(),
        "ế".encode("utf-16-le"),
        b'"',
        b"'",
        b"\\",
        b"\\u0000",
    ),
    *(
        b"9" * 30,
        b"9" * 5_000,
        b"-1",
        b"1e999",
        b"NaN",
        b"-0.0",
        b"1_000",
        b"0x1F",
        b"inf",
        b"99999-12-31",
        b"0000-00-00",
    ),
    *(
        b"2026-02-30",
        b"24:61",
        b"null",
        b"true",
        b"[",
        b"{",
        b"[" * 2_000,
        b'{"a":' * 2_000,
        b"<a>" * 300,
        b";",
        b"\t",
        b"\r\n",
    ),
    *(b"=1+1", b"%s", b"{}", b"../../etc/passwd", b"\xed\xa0\x80", "٣".encode(), b"1" + b"0" * 400),
)


def few(examples: int = 40) -> Callable[[T], T]:
    """So many examples, or as many as are asked for."""
    return settings(
        max_examples=EXAMPLES or examples,
        derandomize=not EXAMPLES,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )


@contextmanager
def soon() -> Iterator[None]:
    """What happens inside is done within seconds of the processor."""
    started = time.process_time()
    yield
    assert time.process_time() - started < _MOST_SECONDS


def mutated(seeds: Sequence[bytes], most: int = 4) -> st.SearchStrategy[bytes]:
    """One of the samples after a few accidents: a piece replaced, repeated, cut out, or cut off."""
    accident = st.tuples(st.floats(0, 1), st.integers(0, 40), st.sampled_from(TOKENS), st.sampled_from("rricx"))
    return st.builds(_befall, st.sampled_from(list(seeds)), st.lists(accident, min_size=1, max_size=most))


def _befall(sample: bytes, accidents: list[tuple[float, int, bytes, str]]) -> bytes:
    for place, length, token, what in accidents:
        start = int(place * len(sample))
        piece = sample[start : start + length]
        match what:
            case "r":
                sample = sample[:start] + token + sample[start + length :]
            case "i":
                sample = sample[:start] + token + sample[start:]
            case "c":
                sample = sample[:start] + piece * 3 + sample[start:]
            case _:
                sample = sample[:start]
    return sample


SCALARS: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([2**63, -(2**63) - 1, 10**400, 0, -1]),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(["", "2026-11-20", "20261120", "12001", "\0", "a" * 10_000, "9" * 5_000]),
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
)


def reshaped(seeds: Sequence[Any]) -> st.SearchStrategy[bytes]:
    """The JSON of a sample in which some values became others, of any type."""
    changes = st.lists(st.tuples(st.lists(st.integers(0, 7), min_size=1, max_size=6), VALUES), min_size=1, max_size=3)
    return st.builds(_reshape, st.sampled_from(list(seeds)), changes)


def _reshape(sample: Any, changes: list[tuple[list[int], Any]]) -> bytes:
    value = json.loads(json.dumps(sample))
    for path, new in changes:
        value = _changed(value, path, new)
    return json.dumps(value).encode("utf-8", "replace")


def _changed(value: Any, path: list[int], new: Any) -> Any:
    keys = list(value) if isinstance(value, dict) else list(range(len(value))) if isinstance(value, list) else []
    if not keys or not path:
        return new
    key = keys[path[0] % len(keys)]
    value[key] = _changed(value[key], path[1:], new)
    return value
