"""How long the agent waits between pushes that fail."""

import random

from contract.errors import CollectorUnavailableError

# Tries are no burden to a collector that is away, and it shall have the fresh day of everybody within a minute of its
# return; one that answers, but takes nothing, gets more time.
FIRST_WAIT, LONGEST_AWAY, LONGEST_WAIT = 5.0, 45.0, 300.0


class Waits:
    """The waits after pushes that fail one after the other; a push that is taken ends them."""

    def __init__(self) -> None:
        self._failures = 0
        self._longest = LONGEST_WAIT

    def after(self, error: Exception) -> float:
        """Seconds until the next try: each time longer, at a random moment, and as long as the collector wishes."""
        wished = error.retry_after if isinstance(error, CollectorUnavailableError) else None
        is_away = isinstance(error, CollectorUnavailableError) and wished is None
        longest = LONGEST_AWAY if is_away else LONGEST_WAIT
        if longest != self._longest:  # away for a month says nothing of how busy it is now
            self._failures, self._longest = 0, longest
        wait = min(FIRST_WAIT * 2.0 ** min(self._failures, 8), longest) * random.uniform(0.5, 1)  # noqa: S311  # nosec B311
        self._failures += 1
        return max(wait, wished or 0.0)
