"""What is wrong with a plan file: every mistake at once, of shape and of meaning, where it stands and what to write.

A mistake of shape hides none of meaning: rules are held against all that can be read (contract/legible.py).
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from difflib import get_close_matches
from itertools import product
from typing import Any, get_args

from pydantic import ValidationError

from contract import legible, plan_shape
from contract.catalogue import Catalogue, Level
from contract.facility import LEVELS, OWNERSHIPS
from contract.legible import Place
from contract.plan_shape import where
from contract.targets import AppliesTo, Follow, Manual, Ownership, Plan, Target

Kind = tuple[str, str]
"""Level and ownership of a facility."""
_Found = Iterator[tuple[str, str]]
"""Mistakes: the keys they are about, as words, and what is wrong and what to write instead."""
_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
_KINDS = tuple(product(get_args(Level), get_args(Ownership)))


def find(
    content: Mapping[str, Any], catalogue: Catalogue, facilities: Mapping[str, Kind] | None
) -> tuple[Plan | None, list[str]]:
    """The plan, and every mistake in it; the plan is None when its tables have not the right shape.

    `facilities`: those of the registry; None where nobody knows them.
    """
    try:
        plan = Plan.model_validate(content)
    except ValidationError as error:
        found = plan_shape.mistakes(content, error)
        rest = legible.rest(Plan, content, error, plan_shape.STAND_INS)
        if rest is not None:
            found += _Reading(rest, content, legible.wrong(error), catalogue, facilities).mistakes()
        return None, found
    return plan, list(_Reading(plan, content, [], catalogue, facilities).mistakes())


@dataclass(frozen=True)
class _Reading:
    """A plan as far as it could be read, and what it is held against."""

    plan: Plan
    content: Mapping[str, Any]
    unread: Sequence[Place]
    catalogue: Catalogue
    facilities: Mapping[str, Kind] | None

    def mistakes(self) -> Iterator[str]:
        """Those of meaning, from the top of the file to its end."""
        plan = self.plan
        yield from self._told(_of_plan(plan))
        for number, target in enumerate(plan.targets):
            yield from self._told(_of_target(target, plan), "targets", number)
            yield from self._told(self._of_facilities(target, self._levels(target.indicator)), "targets", number)
        yield from self._deadlines()
        for number, manual in enumerate(plan.manual):
            others = {one.code for one in plan.manual[:number]}
            yield from self._told(_of_manual(manual, others, plan), "manual", number)
            yield from self._told(self._of_facilities(manual, get_args(Level)), "manual", number)
        for number, follow in enumerate(plan.follow):
            yield from self._told(
                _known("measure", follow.measure, self.catalogue.measures, "số đếm"), "follow", number
            )
            yield from self._told(self._of_facilities(follow, get_args(Level)), "follow", number)
        for name in ("targets", "follow"):
            yield from self._never_held(name)

    def _told(self, found: _Found, *place: int | str) -> Iterator[str]:
        """What is said of keys that could be read."""
        lost = self._lost(place)
        told = [text for keys, text in found if not legible.touches(keys.split(), lost)]
        said = f"{where(self.content, place)}: " if place else ""
        yield from (f"{said}{text}" for text in told)

    def _lost(self, place: Place) -> list[str]:
        """The keys (dotted, without numbers) of the table at `place`, and of the plan, that could not be read."""
        here = [one[len(place) :] for one in self.unread if place and one[: len(place)] == place]
        return [".".join(part for part in one if isinstance(part, str)) for one in [*here, *self.unread] if one]

    def _levels(self, indicator: str) -> Collection[str]:
        """Of an indicator that nobody knows, all: that it is unknown is said elsewhere."""
        known = self.catalogue.indicators.get(indicator)
        return known.levels if known else get_args(Level)

    def _of_facilities(self, one: Target | Manual | Follow, levels: Collection[str]) -> _Found:
        if isinstance(one, Target):
            yield from _known("indicator", one.indicator, self.catalogue.indicators, "chỉ số")
            for level in one.applies_to.levels:
                if level not in levels:
                    kinds = ", ".join(other for other in get_args(Level) if other in levels)
                    yield (
                        "indicator applies_to.levels",
                        f"applies_to.levels: danh mục không tính chỉ số này cho “{level}” ({LEVELS[level].vi}), "
                        f"chỉ cho {kinds}: bỏ “{level}”",
                    )
        for key, facility in _named(one):
            if self.facilities is not None and facility not in self.facilities:
                near = _near(facility, self.facilities) or ": sửa mã, hoặc đăng ký cơ sở trước (facility add)"
                yield key, f"{key}: danh bạ không có cơ sở “{facility}”{near}"
            elif not self._is_meant(facility, one.applies_to, levels):
                who = self._described(facility)
                yield (
                    f"indicator applies_to {key}",
                    f"{key}: cơ sở {who} không thuộc diện áp dụng: sửa applies_to, hoặc bỏ cơ sở này",
                )

    def _is_meant(self, facility: str, applies_to: AppliesTo, levels: Collection[str]) -> bool:
        return any(
            level in levels and applies_to.includes(facility, level, ownership)
            for level, ownership in self._kinds(facility)
        )

    def _kinds(self, facility: str) -> Sequence[Kind]:
        """What a facility may be: of one that the registry knows, what it is."""
        known = self.facilities or {}
        return [known[facility]] if facility in known else _KINDS

    def _described(self, facility: str) -> str:
        if facility not in (self.facilities or {}):
            return facility
        level, ownership = self._kinds(facility)[0]
        return f"{facility} ({LEVELS[level].vi}, {OWNERSHIPS[ownership].vi})"

    def _deadlines(self) -> Iterator[str]:
        """A road, and an alert, of an indicator has one end."""
        deadlines: dict[str, dict[tuple[date, str | None], str]] = {}
        keys = ("indicator", "ratio", "deadline", "every", "last_day")
        for number, target in enumerate(self.plan.targets):
            if target.ratio is not None and not legible.touches(keys, self._lost(("targets", number))):
                last = target.deadline or self.plan.last_day
                said = "mỗi năm" if target.every else f"{last:%d/%m/%Y}"
                deadlines.setdefault(target.indicator, {})[last, target.every] = said
        for code, found in deadlines.items():
            if len(found) > 1:
                yield f"chỉ số {code} có {len(found)} hạn khác nhau ({', '.join(found.values())}): dùng chung một hạn"

    def _never_held(self, name: str) -> Iterator[str]:
        """Targets of one indicator, or measures to follow, that earlier ones leave nobody to."""
        seen: dict[tuple[str, bool], set[tuple[str, Kind]]] = {}
        tables: Sequence[Target | Follow] = getattr(self.plan, name)
        facilities = ["", *sorted({one for table in tables for one in table.applies_to.facilities})]
        for number, table in enumerate(tables):
            is_target = isinstance(table, Target)
            code = table.indicator if isinstance(table, Target) else table.measure
            keys = ("indicator", "measure", "ratio", "applies_to")
            if legible.touches(keys, self._lost((name, number))):
                continue
            levels = self._levels(code) if is_target else get_args(Level)
            reach = {
                (facility, kind)
                for facility in facilities
                for kind in self._kinds(facility)
                if kind[0] in levels and table.applies_to.includes(facility, *kind)
            }
            before = seen.setdefault((code, isinstance(table, Target) and table.ratio is None), set())
            if reach and reach <= before:
                yield (
                    f"{where(self.content, (name, number))}: không bao giờ được dùng, vì bảng trước của {code} đã áp "
                    "dụng cho mọi cơ sở này: bỏ một bảng, hoặc thu hẹp applies_to của bảng trước"
                )
            before |= reach


def _of_plan(plan: Plan) -> _Found:
    if not _ID.fullmatch(plan.id):
        yield (
            "id",
            f"tên tệp “{plan.id}” chỉ được có chữ thường không dấu, chữ số và dấu gạch nối: đổi tên tệp, ví dụ "
            "ke-hoach-2026.toml",
        )
    if plan.first_day > plan.last_day:
        yield "first_day last_day", f"first_day phải không sau last_day ({plan.last_day:%d/%m/%Y})"
    if plan.until < plan.last_day:
        yield "last_day in_force_until", f"in_force_until phải không trước last_day ({plan.last_day:%d/%m/%Y})"


def _of_target(target: Target, plan: Plan) -> _Found:
    if target.ratio is None and (target.unit == "facilities" or target.overrides or target.baselines):
        yield "ratio unit", "không có ratio thì chỉ theo dõi: thêm ratio, hoặc bỏ unit, overrides, baselines"
    # Of facilities targets an override is the facility's own `uses_at`.
    thresholds = {target.ratio} | ({one.ratio for one in target.overrides} if target.unit == "cases" else set())
    if target.operator == ">" and 1 in thresholds:
        yield "operator ratio overrides.ratio", 'không tỷ lệ nào lớn hơn 100 %: dùng operator = ">="'
    if target.operator == ">=" and target.ratio == 0:
        yield (
            "operator ratio",
            "từ 0 % trở lên thì tỷ lệ nào cũng đạt: ghi con số của văn bản, hoặc bỏ ratio để theo dõi",
        )
    yield from _of_use(target)
    for name in ("overrides", "baselines"):
        facilities = [one.facility for one in getattr(target, name)]
        for one in sorted({facility for facility in facilities if facilities.count(facility) > 1}):
            yield f"{name}.facility", f"{name}: cơ sở {one} lặp lại: giữ một dòng"
    last = target.deadline or plan.last_day
    for baseline in target.baselines:
        if baseline.day >= last:
            yield (
                "deadline last_day baselines",
                f"baselines: {baseline.facility}: day phải trước hạn ({last:%d/%m/%Y})",
            )
    yield from _of_dates(target, plan)


def _of_use(target: Target) -> _Found:
    if target.unit == "facilities" and target.uses_at is None:
        yield (
            "unit uses_at",
            'unit = "facilities" cần uses_at, tỷ lệ mà từ đó một cơ sở được tính là sử dụng: thêm, ví dụ uses_at = '
            "0.95",
        )
    if target.unit == "cases" and target.uses_at is not None:
        yield "unit uses_at", 'uses_at chỉ đi với unit = "facilities": thêm unit = "facilities", hoặc bỏ uses_at'
    if target.uses_at is not None and not target.uses_at_reason:
        yield "uses_at uses_at_reason", "uses_at là quyết định của Sở: thêm uses_at_reason, nêu lý do"
    if target.uses_at is None and target.uses_at_reason:
        yield (
            "uses_at uses_at_reason",
            "uses_at_reason nói về uses_at mà không có uses_at: thêm uses_at, hoặc bỏ khóa này",
        )


def _of_manual(one: Manual, others: Collection[str], plan: Plan) -> _Found:
    if one.code in others:
        yield "code", f"mã {one.code} lặp lại: đặt mã khác, hoặc bỏ một bảng"
    if one.unit == "percent" and one.value is not None and one.value > 100:
        yield (
            "unit value",
            'số phần trăm phải không quá 100 (20 % viết là 20); không phải phần trăm thì dùng unit = "count"',
        )
    if one.unit == "percent" and one.operator == ">" and one.value == 100:
        yield "unit operator value", 'không con số nào lớn hơn 100 %: dùng operator = ">="'
    if one.operator == "<" and one.value == 0:
        yield "operator value", 'không con số nào nhỏ hơn 0: dùng operator = "<="'
    if one.value is None and "operator" in one.model_fields_set:
        yield "operator value", "không có value thì chỉ theo dõi: thêm value, hoặc bỏ operator"
    yield from _of_dates(one, plan)


def _of_dates(one: Target | Manual, plan: Plan) -> _Found:
    if one.deadline is not None and one.every is not None:
        yield "deadline every", "chỉ đặt một trong deadline và every: bỏ một"
    if one.deadline is not None and not plan.first_day <= one.deadline <= plan.last_day:
        days = f"{plan.first_day:%d/%m/%Y} đến {plan.last_day:%d/%m/%Y}"
        yield "deadline first_day last_day", f"deadline phải nằm trong thời gian của kế hoạch, {days}"


def _known(key: str, code: str, codes: Iterable[str], what: str) -> _Found:
    offered = list(codes)
    if code not in offered:
        yield (
            key,
            f"danh mục không có {what} “{code}”{_near(code, offered) or '; các mã dùng được: ' + ', '.join(offered)}",
        )


def _near(name: str, names: Iterable[str]) -> str:
    found = get_close_matches(name, list(names), 1)
    return f": có phải “{found[0]}”?" if found else ""


def _named(one: Target | Manual | Follow) -> Iterator[tuple[str, str]]:
    """Every facility that a table names: key, id."""
    yield from (("applies_to.facilities", facility) for facility in dict.fromkeys(one.applies_to.facilities))
    if isinstance(one, Target):
        for key in ("overrides", "baselines"):
            yield from ((key, facility) for facility in dict.fromkeys(each.facility for each in getattr(one, key)))
