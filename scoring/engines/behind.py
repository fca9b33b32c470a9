"""Behind each condition: the days it looked at, the people and days that made it true, its newest fact."""

from __future__ import annotations

from dataclasses import replace

from accounts.models import StageEntry
from plgops.lib import days
from scoring.engines import reading
from scoring.engines.found import DAYS, PEOPLE, Found, Question
from scoring.rules import compile as compiler
from scoring.rules import tree, windows


def look_behind(question: Question, found: list[Found]) -> None:
    """Fill in windows, people, days and newest facts of what was measured."""
    usage = [item for item in found if isinstance(item.leaf.node, tree.UsageCondition)]
    _windows(question, usage)
    asked = [(_bound(item), item.people[:1] if item.leaf.subject == "user" else []) for item in usage]
    if asked:
        _behind(question, usage, asked)
    _stages(question, [item for item in found if isinstance(item.leaf.node, tree.StageReached | tree.StageSince)])


def _windows(question: Question, usage: list[Found]) -> None:
    """The days that each condition looked at."""
    for item in usage:
        node = item.leaf.node
        if isinstance(node, tree.Recency):
            if node.within_days is not None:
                item.window = windows.LastDays(node.within_days)
            elif item.measured is not None:
                item.window = windows.Dates(item.measured, item.measured)  # the day last seen
        else:
            item.window = node.window  # type: ignore[union-attr]
    sliding = [item for item in usage if isinstance(item.window, windows.AnyDays)]
    if sliding:
        asked = [
            (item.leaf.node, item.people[0] if item.people and item.leaf.subject == "user" else 0) for item in sliding
        ]
        statement = compiler.compile_stretches(asked, **question.about_one())
        for place, last, _ in reading.rows(statement):
            window = sliding[place].window
            if isinstance(window, windows.AnyDays):
                sliding[place].window = windows.Dates(last - window.days + 1, last)


def _bound(item: Found, window: windows.Window | None = None) -> tree.Condition:
    """The condition over the days that it looked at (or over another window)."""
    node, window = item.leaf.node, window or item.window
    if isinstance(node, tree.Count | tree.Distinct | tree.Users | tree.Days):
        return replace(node, window=window)
    events = node.events if isinstance(node, tree.Recency) else ()
    return tree.Count(events, tree.Compare("at_least", low=1), window)


def _behind(question: Question, usage: list[Found], asked: list[tuple[tree.Condition, list[int]]]) -> None:
    statement = compiler.compile_behind(
        asked,
        **question.about_one(),
        people=PEOPLE,
        days=DAYS,
    )
    for place, what, number, size, newest in reading.rows(statement):
        item = usage[place]
        of_account = item.leaf.subject == "account"
        if what == 0:
            item.newest_us, item.days_total = newest, size
            if of_account:
                item.people_total = number
        elif what == 1 and of_account:
            item.people.append(number)
        elif what == 2:
            item.days.append(number)
    _newest_of_others(question, usage)


def _newest_of_others(question: Question, usage: list[Found]) -> None:
    """Conditions about people: the days are the best person's, the newest event that of all who qualify."""
    several = [item for item in usage if item.leaf.subject == "user" and len(item.people) > 1]
    asked = [(_bound(item, _own(item)), item.people) for item in several]
    if not asked:
        return
    statement = compiler.compile_behind(
        asked,
        **question.about_one(),
        people=1,
        days=1,
    )
    for place, what, _, _, newest in reading.rows(statement):
        if what == 0:
            several[place].newest_us = newest


def _own(item: Found) -> windows.Window:
    """The window as the rule has it, where it differs from person to person; sliding ones stay the best's."""
    window = getattr(item.leaf.node, "window", None)
    return window if isinstance(window, windows.FirstDays) else item.window


def _stages(question: Question, found: list[Found]) -> None:
    """Measured in days since then; the entry's time is the newest fact behind a stage that was reached."""
    for item in found:
        if item.measured is not None:
            item.days, item.days_total = [item.measured], 1
            item.measured = question.day - item.measured
    asked = [item for item in found if isinstance(item.leaf.node, tree.StageReached) and item.days]
    if not asked:
        return
    entries = StageEntry.objects.filter(
        account_id=question.account_id, stage__in={_stage(item) for item in asked}, day__lte=question.day
    )
    for stage, day, at in entries.order_by("at", "id").values_list("stage", "day", "at"):
        for item in asked:
            if _stage(item) == stage and item.days == [day]:
                item.newest_us = days.micros(at)


def _stage(item: Found) -> str:
    node = item.leaf.node
    return node.stage if isinstance(node, tree.StageReached | tree.StageSince) else ""
