"""What waits together is stored together, and nobody pays for another."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Sequence

import pytest

from collector.intake import Intake
from contract.errors import AwayError, BusyError

Answers = list[str | BaseException]


class Shelf:
    """Stores words, once it may; a word that begins with “!” cannot be stored."""

    def __init__(self) -> None:
        self.may = threading.Event()
        self.groups: list[list[str]] = []
        self.raises: list[Exception] = []

    def store(self, words: Sequence[str]) -> list[str | Exception]:
        self.groups.append(list(words))
        assert self.may.wait(10)
        if self.raises:
            raise self.raises.pop(0)
        return [ValueError(word) if word.startswith("!") else word.upper() for word in words]


def told(shelf: Shelf, story: Callable[[Intake[str, str]], Awaitable[Answers]], most: int = 24) -> Answers:
    async def tell() -> Answers:
        return await story(Intake(shelf.store, most))

    return asyncio.run(tell())


async def begun(intake: Intake[str, str], *words: str) -> list[asyncio.Task[str]]:
    """The first of the words is being stored, the others wait."""
    tasks = []
    for word in words:
        tasks.append(asyncio.create_task(intake.take(word)))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    return tasks


def test_those_that_wait_are_stored_together_in_their_order_and_each_has_its_own_answer() -> None:
    shelf = Shelf()

    async def story(intake: Intake[str, str]) -> Answers:
        tasks = await begun(intake, "a", "b", "!c", "d")
        shelf.may.set()
        return await asyncio.gather(*tasks, return_exceptions=True)

    a, b, c, d = told(shelf, story)
    assert (a, b, d, type(c)) == ("A", "B", "D", ValueError)
    assert shelf.groups == [["a"], ["b", "!c", "d"]]


def test_what_fails_as_a_whole_fails_for_those_only_who_were_in_it() -> None:
    shelf = Shelf()
    shelf.raises = [RuntimeError("a mistake of ours")]

    async def story(intake: Intake[str, str]) -> Answers:
        tasks = await begun(intake, "a", "b")
        shelf.may.set()
        return await asyncio.gather(*tasks, return_exceptions=True)

    a, b = told(shelf, story)
    assert (type(a), b) == (RuntimeError, "B")


def test_a_database_that_is_away_is_so_for_all_who_have_waited_and_is_asked_again_by_the_next() -> None:
    shelf = Shelf()
    shelf.raises = [AwayError("away")]

    async def story(intake: Intake[str, str]) -> Answers:
        tasks = await begun(intake, "a", "b", "c")
        shelf.may.set()
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        return [*answers, await intake.take("d")]

    answers = told(shelf, story)
    assert [type(one) for one in answers[:3]] == [AwayError] * 3
    assert answers[3] == "D"
    assert shelf.groups == [["a"], ["d"]]


def test_more_than_may_be_here_are_told_to_come_back_and_those_who_were_here_are_not_sent_away() -> None:
    shelf = Shelf()

    async def story(intake: Intake[str, str]) -> Answers:
        tasks = await begun(intake, "a", "b", "c", "d")
        shelf.may.set()
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        return [*answers, await intake.take("e")]

    *here, late, after = told(shelf, story, most=3)
    assert here == ["A", "B", "C"]
    assert isinstance(late, BusyError)
    assert after == "E"


def test_whoever_goes_away_while_waiting_takes_nobody_with_them_and_leaves_their_place() -> None:
    shelf = Shelf()

    async def story(intake: Intake[str, str]) -> Answers:
        tasks = await begun(intake, "a", "b", "c")
        tasks[0].cancel()
        tasks[1].cancel()
        await asyncio.sleep(0)
        tasks += await begun(intake, "d", "e")
        shelf.may.set()
        return await asyncio.gather(*tasks, return_exceptions=True)

    answers = told(shelf, story, most=3)
    assert [type(one) for one in answers[:2]] == [asyncio.CancelledError] * 2
    assert answers[2:] == ["C", "D", "E"]


@pytest.mark.parametrize("error", [RuntimeError("x"), AwayError("x")])
def test_after_an_error_it_goes_on(error: Exception) -> None:
    shelf = Shelf()
    shelf.may.set()
    shelf.raises = [error]

    async def story(intake: Intake[str, str]) -> Answers:
        first = await asyncio.gather(intake.take("a"), return_exceptions=True)
        return [*first, await intake.take("b")]

    first, second = told(shelf, story)
    assert (type(first), second) == (type(error), "B")
