"""A share of thirty days as a line of the height of a word, inside the page."""

from collections.abc import Sequence

_STEP, _HEIGHT, _LEAST_SPAN = 3, 18, 0.2


def spark(daily: Sequence[int]) -> str:
    """The path (SVG, 87 × 18) of numerator and denominator a day in turn; days without a case are gaps.

    It shows the way a share has gone, from its lowest to its highest but over 20 points at least: noise stays small.
    """
    pairs = zip(daily[::2], daily[1::2], strict=True)
    shares = [min(numerator / denominator, 1) if denominator else None for numerator, denominator in pairs]
    known = [one for one in shares if one is not None]
    low, high = min(known, default=0.0), max(known, default=1.0)
    middle, span = (low + high) / 2, max(high - low, _LEAST_SPAN)
    base = min(max(middle - span / 2, 0.0), 1 - span)
    path, is_open = [], False
    for day, share in enumerate(shares):
        if share is not None:
            height = round(_HEIGHT - 1 - (_HEIGHT - 2) * (share - base) / span, 1)
            path.append(f"{'L' if is_open else 'M'}{day * _STEP} {height}{'' if is_open else 'h.1'}")
        is_open = share is not None
    return " ".join(path)
