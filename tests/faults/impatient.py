"""`python -m tests.faults.impatient …`: nhipso-agent, which waits seconds where it would wait minutes.

Only the scale of time differs: a run of a minute so holds as many turns as a day does.
"""

import sys
from typing import Any

import httpx

from agent import link, waits
from agent.__main__ import main

if __name__ == "__main__":
    patient: Any = waits
    patient.FIRST_WAIT, patient.LONGEST_AWAY, patient.LONGEST_WAIT = 0.3, 2.0, 2.0
    door: Any = link
    door._TIMEOUT = httpx.Timeout(4, connect=2)
    asked = door._retry_after
    door._retry_after = lambda response: asked(response) and 1.0
    sys.exit(main())
