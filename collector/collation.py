"""The order of Vietnamese dictionaries, as Unicode's collation is tailored for `vi` (CLDR).

First by letters (a ă â b c d đ e ê …), over the whole text; then by tones (none, huyền, hỏi, ngã, sắc, nặng);
then small before large. Digits are compared as numbers and stand before letters: "Trạm 2" before "Trạm 10".
PyICU would do the same with libraries of the system.
"""

import unicodedata
from functools import lru_cache
from itertools import groupby

_ALPHABET = "aăâbcdđeêfghijklmnoôơpqrstuưvwxyz"
_PLACE = {letter: place for place, letter in enumerate(_ALPHABET)}
# huyền, hỏi, ngã, sắc, nặng; 0 is no tone
_TONES = {"\u0300": 1, "\u0309": 2, "\u0303": 3, "\u0301": 4, "\u0323": 5}
Key = tuple[tuple[tuple[int, int], ...], tuple[int, ...], str]


@lru_cache(maxsize=8192)
def key(text: str) -> Key:
    """What `sorted(names, key=collation.key)` asks for."""
    letters: list[tuple[int, int]] = []
    tones: list[int] = []
    for is_number, group in groupby(unicodedata.normalize("NFC", text).strip(), str.isdecimal):
        if is_number:
            letters.append((1, int("".join(group))))
            tones.append(0)
            continue
        for character in group:
            letter, tone = _split(character)
            letters.append(_weight(letter))
            tones.append(tone)
    return tuple(letters), tuple(tones), text.swapcase()


def folded(text: str) -> str:
    """Small, without marks and with single blanks: what people type who look for a name."""
    marks = unicodedata.normalize("NFD", text.replace("đ", "d").replace("Đ", "d").lower())
    return " ".join("".join(one for one in marks if not unicodedata.combining(one)).split())


def _split(character: str) -> tuple[str, int]:
    """The letter without its tone, small; and the tone."""
    marks = unicodedata.normalize("NFD", character.lower())
    tone = next((_TONES[mark] for mark in marks if mark in _TONES), 0)
    return unicodedata.normalize("NFC", "".join(mark for mark in marks if mark not in _TONES)), tone


def _weight(letter: str) -> tuple[int, int]:
    """Blanks and marks, digits, letters, other scripts."""
    if letter in _PLACE:
        return 2, _PLACE[letter]
    return (3 if letter.isalpha() else 0), ord(letter[:1] or " ")
