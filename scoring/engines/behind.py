"""Behind each condition: the days it looked at, the people and days that made it true, its newest fact."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from accounts.models import StageEntry
from plgops.lib import days
from scoring.engines import reading
from scoring.engines.found import DAYS, PEOPLE, Found, Question
from scoring.rules import compile as compiler
from scoring.rules import tree, windows
from scoring.rules.sql.behind import Look
from scoring.rules.sql.terms import FAR, Leafy


def look_behind(question: Question, found: Sequence[Found], *, measures_only: bool = False) -> None:
    """Fill in windows, people, days and newest facts of what was measured, of all accounts; `measures_only`: only how
    many days ago a stage was reached."""
    usage = [item for item in found if isinstance(item.leaf.node, tree.UsageCondition) and not measures_only]
    _windows(question, usage)
    if usage:
        _behind(question, usage)
        _newest_of_others(question, usage)
    _stages(question, [item for item in found if isinstance(item.leaf.node, tree.StageReached | tree.StageSince)])


def _windows(question: Question, usage: Sequence[Found]) -> None:
    """The days that each condition looked at."""
    for item in usage:
        node = item.leaf.node
        if isinstance(node, tree.Recency):
            if node.within_days is not None:
                item.window = windows.LastDays(node.within_days)
            elif item.measured is not None:
                item.window = windows.Dates(item.measured, item.measured)  # the day last seen
        elif isinstance(node, tree.Sequence):
            start = item.extras.get("start_day")  # nobody was there, or nothing is complete
            item.window = node.window if start is None else windows.Dates(start, start + node.within_days - 1)
        elif isinstance(node, tree.Change):
            item.window = windows.LastDays(node.days)
        elif isinstance(node, tree.First):
            if item.measured is not None:
                item.window = windows.Dates(item.measured, item.measured)
        else:
            item.window = node.window  # type: ignore[union-attr]
    sliding = _by_place([item for item in usage if isinstance(item.window, windows.AnyDays)])
    if not sliding:
        return
    asked = [(items[0].leaf.node, [(item.account_id, _best(item)) for item in items]) for items in sliding]
    of_account = [{item.account_id: item for item in items} for items in sliding]
    for place, account_id, last in reading.rows(compiler.compile_stretches(asked, **question.about())):
        item = of_account[place][account_id]
        if isinstance(item.window, windows.AnyDays):
            item.window = windows.Dates(last - item.window.days + 1, last)


def _best(item: Found) -> int:
    """The person whose values are told, 0 where the condition is about the account."""
    return item.people[0] if item.people and item.leaf.subject == "user" else 0


def _by_place(found: Sequence[Found]) -> list[list[Found]]:
    """The same condition of all accounts together."""
    groups: dict[int, list[Found]] = defaultdict(list)
    for item in found:
        groups[item.place].append(item)
    return list(groups.values())


def _look(question: Question, item: Found, window: windows.Window, user_id: int) -> Look:
    """Where a condition looked. A window from the person's own sign-up is left to the statement."""
    first, last = -FAR, question.day
    match window:
        case windows.LastDays(length):
            first = question.day - length + 1
        case windows.BillingMonth():
            first = windows.month_start(question.day)
        case windows.FirstDays(length, "account"):
            first = question.signup_days[item.account_id]
            last = first + length - 1
        case windows.Dates(start, end):
            first = -FAR if start is None else start
            last = question.day if end is None else end
    return Look(item.account_id, user_id, first, min(last, question.day))


def _told(
    question: Question, groups: Sequence[tuple[Leafy, Sequence[Look]]], people: int, days: int
) -> list[tuple[int, int, int, int, int, int | None]]:
    """Rows (place, account id, what, id, n, newest) of the statement."""
    return list(reading.rows(compiler.compile_behind(groups, **question.about(), people=people, days=days)))


def _behind(question: Question, usage: Sequence[Found]) -> None:
    groups = _by_place(usage)
    asked = [
        (items[0].leaf.node, [_look(question, item, item.window, _best(item)) for item in items]) for items in groups
    ]
    of_account = [{item.account_id: item for item in items} for items in groups]
    for place, account_id, what, number, size, newest in _told(question, asked, PEOPLE, DAYS):
        item = of_account[place][account_id]
        of_the_account = item.leaf.subject == "account"
        if what == 0:
            item.newest_us, item.days_total = newest, size
            if of_the_account:
                item.people_total = number
        elif what == 1 and of_the_account:
            item.people.append(number)
        elif what == 2:
            item.days.append(number)


def _newest_of_others(question: Question, usage: Sequence[Found]) -> None:
    """Conditions about people: the days are the best person's, the newest event that of all who qualify."""
    groups = _by_place([item for item in usage if item.leaf.subject == "user" and len(item.people) > 1])
    if not groups:
        return
    asked = [
        (
            items[0].leaf.node,
            [_look(question, item, _own(item, user_id), user_id) for item in items for user_id in item.people],
        )
        for items in groups
    ]
    of_account: list[Mapping[int, Found]] = [{item.account_id: item for item in items} for items in groups]
    for place, account_id, _, _, _, newest in _told(question, asked, 0, 0):
        of_account[place][account_id].newest_us = newest


def _own(item: Found, user_id: int) -> windows.Window:
    """The window as the rule has it, where it differs from person to person; sliding ones stay the best's."""
    window = getattr(item.leaf.node, "window", None)
    if isinstance(item.leaf.node, tree.First):
        return windows.Dates(item.each[user_id], item.each[user_id])
    if isinstance(item.leaf.node, tree.Sequence):
        return item.leaf.node.window
    return window if isinstance(window, windows.FirstDays) else item.window


def _stages(question: Question, found: Sequence[Found]) -> None:
    """Measured in days since then; the entry's time is the newest fact behind a stage that was reached."""
    for item in found:
        if item.measured is not None:
            item.days, item.days_total = [item.measured], 1
            item.measured = question.day - item.measured
    asked: dict[tuple[int, str], list[Found]] = defaultdict(list)
    for item in found:
        if isinstance(item.leaf.node, tree.StageReached) and item.days:
            asked[item.account_id, item.leaf.node.stage].append(item)
    if not asked:
        return
    entries = StageEntry.objects.filter(
        account_id__in={account_id for account_id, _ in asked},
        stage__in={stage for _, stage in asked},
        day__lte=question.day,
    )
    for account_id, stage, day, at in entries.order_by("at", "id").values_list("account_id", "stage", "day", "at"):
        for item in asked.get((account_id, stage), ()):
            if item.days == [day]:
                item.newest_us = days.micros(at)
