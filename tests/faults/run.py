"""One run: kill and cut until there were enough kills, let it become quiet, and compare with the truth."""

import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from random import Random

from tests.faults import MEMORY
from tests.faults.oracle import Difference, Oracle
from tests.faults.programs import Programs
from tests.faults.world import Database, World, database

_TICK_SECONDS = 0.05
_CHANGES_A_SECOND = 6.0
_LOOK_SECONDS = 1.0
_READER_SECONDS = 5.0
# On a machine that others use too, everything takes longer; a run that is right never waits so long.
_PATIENCE_SECONDS = 180.0
_TARGETS = {"reader": 8, "agent": 4, "collector": 2, "postgres": 2}


@dataclass(frozen=True)
class Result:
    """What a run came to. `lost` and `invented` are numbers of tallies, `broken` says what else was wrong."""

    kills: dict[str, int]
    acks: int
    duplicates: int
    differences: list[Difference]
    invented: int
    broken: list[str]
    faults: dict[str, int]
    exits: dict[str, int]

    @property
    def lost(self) -> int:
        """Tallies that are missing or not what their source says."""
        return len(self.differences) + sum(one.startswith("lost") for one in self.broken)

    @property
    def is_good(self) -> bool:
        """Whether nothing is wrong, and enough went on for that to mean something."""
        return not (self.differences or self.invented or self.broken or self.not_a_test)

    @property
    def not_a_test(self) -> str | None:
        """Why the run proves nothing."""
        if self.acks < 2 * sum(self.kills.values()):
            return "too few tallies got through"
        return None if self.duplicates else "no tally arrived twice"

    def __str__(self) -> str:
        invented = self.invented + sum(one.startswith("invented") for one in self.broken)
        return (
            f"kills={sum(self.kills.values())} acks={self.acks} duplicates={self.duplicates}"
            f" lost={self.lost} invented={invented}"
        )


def run(kills: int, seed: int, kind: Database, goes_on: Callable[[int], bool] = lambda kills: True) -> Result:
    """Kill so often, or until `goes_on`, which hears how often was killed so far, has had enough; then judge."""
    with (
        tempfile.TemporaryDirectory(prefix="nhipso-faults-", dir=MEMORY) as home,
        Programs(Path(home) / "logs") as programs,
        database(kind, Path(home), programs) as url,
    ):
        world = World(Path(home), programs, kind, url, Random(seed))
        with closing(world):
            world.start()
            _Storm(world, Random(f"{seed} storm")).rage(kills, goes_on)
            return _judged(world)


class _Storm:
    """The time of faults."""

    def __init__(self, world: World, random: Random) -> None:
        self._world = world
        self._random = random
        self._look_at = 0.0
        self._targets = {one: weight for one, weight in _TARGETS.items() if one != "postgres" or _is_postgres(world)}

    def rage(self, kills: int, goes_on: Callable[[int], bool]) -> None:
        """Bursts of kills, and between them a moment in which something must get through."""
        counted = self._world.programs.kills
        self._until_acked()
        while counted.total() < kills and goes_on(counted.total()):
            for _ in range(min(self._random.randint(1, 8), kills - counted.total())):
                self._kill()
            self._until_acked()
        goes_on(counted.total())

    def _kill(self) -> None:
        target = self._random.choices(list(self._targets), list(self._targets.values()))[0]
        agent = self._random.choice(self._world.agents)
        # Often down for a moment only, sometimes while others are killed and started.
        down = self._random.choice((0.0, 0.2, self._random.uniform(0, 4)))
        position = self._random.random()
        programs = self._world.programs
        if target != "reader":
            self._live(self._random.uniform(0, 1.2))
        if target == "reader":
            # they live for a moment only: wait for the next one
            deadline = time.monotonic() + _READER_SECONDS
            while not programs.kill_child(agent, "agent.reader", position, "reader") and time.monotonic() < deadline:
                self._live(_TICK_SECONDS)
        elif target == "postgres" and self._random.random() < 0.4:
            programs.kill_child("postgres", "[local]", position, "backend")
        else:
            programs.kill(agent if target == "agent" else target, down)

    def _until_acked(self) -> None:
        acks, deadline = self._world.oracle.acks, time.monotonic() + _PATIENCE_SECONDS
        while self._world.oracle.acks == acks and time.monotonic() < deadline:
            self._live(_TICK_SECONDS)

    def _live(self, seconds: float) -> None:
        """Sources change, programs come up again, the collector is looked at."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._world.programs.tend()
            if self._random.random() < _CHANGES_A_SECOND * _TICK_SECONDS:
                self._world.change()
            if time.monotonic() > self._look_at:
                self._world.look()
                self._look_at = time.monotonic() + _LOOK_SECONDS
            time.sleep(_TICK_SECONDS)


def _judged(world: World) -> Result:
    """The faults stop. What the sources say must arrive, and then what they say anew."""
    world.proxy.calm = True
    world.programs.all_up()
    differences, invented = quiet(world)
    if not differences:
        world.change_all()
        differences, invented = quiet(world)
    oracle: Oracle = world.oracle
    return Result(
        kills=dict(world.programs.kills),
        acks=oracle.acks,
        duplicates=oracle.duplicates,
        differences=differences,
        invented=invented,
        broken=[*oracle.broken, *world.programs.tracebacks()],
        faults=dict(world.proxy.faults),
        exits=dict(world.programs.exits),
    )


def quiet(world: World) -> tuple[list[Difference], int]:
    """Wait until the collector says what the sources say; what is different if it never does, and what is invented."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    differences, invented = world.oracle.differences([]), 0
    while differences and time.monotonic() < deadline:
        world.programs.tend()
        if (found := world.look()) is not None:
            differences, invented = world.oracle.differences(found), world.oracle.invented(found)
        time.sleep(_TICK_SECONDS * 4)
    return differences, invented


def _is_postgres(world: World) -> bool:
    return world.database == "postgresql"
