"""How often one caller may try in a minute; what must hold across processes is in the database instead."""

import threading
from collections import Counter
from datetime import datetime

from contract.errors import BusyError


class Throttle:
    """Counts tries by caller and calendar minute; nothing is kept longer than that minute."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._minute: datetime | None = None
        self._tries: Counter[str] = Counter()

    def take(self, caller: str, at: datetime) -> None:
        """One more try. Raises BusyError, with the seconds to the next minute, when there were `most` already."""
        minute = at.replace(second=0, microsecond=0)
        with self._lock:
            if minute != self._minute:
                self._minute = minute
                self._tries.clear()
            if self._tries[caller] >= self._most:
                error = BusyError("quá nhiều lần nhập sai từ địa chỉ mạng này: hãy đợi một phút rồi thử lại")
                error.retry_after = 60 - at.second
                raise error
            self._tries[caller] += 1

    def give_back(self, caller: str) -> None:
        """The try went well: it does not count."""
        with self._lock:
            self._tries[caller] = max(0, self._tries[caller] - 1)
