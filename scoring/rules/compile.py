"""Rules into one SQL statement: which accounts hold as of the end of a day, and until when at the least.

The statement keeps to what SQLite, PostgreSQL and DuckDB share: integer days, no division, truth as CASE
1/0, sums cast, texts compared for equality only. Numbers are written as integers, texts are bound by name.

Its shape does not grow with the number of conditions. Usage is read once into one row per account and
person with a filtered aggregate for each condition (`base`), and summed from there to the account; distinct
values, traits and stages likewise; windows that slide over all time come as rows and are pivoted. Two wide
tables (`pairs`: account and person; `accts`: account) then hold what every condition measured and the next
day on which time alone changes its answer, and the trees are plain boolean expressions over them. Equal
conditions of several definitions are measured once.

Everything is local to one account: a rule about people is asked of the pair (account, person) and sees that
person's events in that account. Population: docs/rules.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from plgops.lib.days import FOREVER
from scoring.rules import tree, windows
from scoring.rules.windows import Subject

Dialect = Literal["sqlite", "postgresql", "duckdb"]
Leafy = tree.Condition | tree.UsersWho

# definition numbers of the rows that bound every definition, or those that look at people
EVERY_DEFINITION = -1
PEOPLE_DEFINITIONS = -2
_FAR = 99_999_999  # later than any day
_NO_DAY = "CAST(NULL AS INTEGER)"


@dataclass(frozen=True, slots=True)
class EventTypes:
    """The catalogue as the compiler needs it: ids by name, which count as activity, which collect what."""

    ids: Mapping[str, int]
    activity: tuple[int, ...]
    collects: Mapping[int, str] = field(default_factory=dict)

    def resolve(self, names: Sequence[str]) -> tuple[int, ...]:
        """The ids of the names; “*” is every raw type that counts as activity. An unknown name has none."""
        if tuple(names) == tree.ANY_EVENT:
            return self.activity
        return tuple(sorted(self.ids[name] for name in names if name in self.ids))

    def resolve_collecting(self, names: Sequence[str], of: str) -> tuple[int, ...]:
        """Those of them that collect the distinct values of the property `of`."""
        return tuple(number for number in self.resolve(names) if self.collects.get(number) == of)


@dataclass(frozen=True, slots=True)
class Statement:
    """SQL with named parameters (`%(p0)s`)."""

    sql: str
    params: Mapping[str, str]


def compile_verdicts(
    docs: Sequence[tree.DefinitionDoc],
    *,
    types: EventTypes,
    as_of_day: int,
    account_ids: Sequence[int] | None,
    dialect: Dialect,
) -> Statement:
    """Rows (definition number, account id, user id, holds, next day), numbers being positions in `docs`.

    Level account: one row for each account where the rule holds or time alone may change it, user id 0.
    Level user: one row for each person it holds for, and rows with user id 0 that carry the account's next
    day. Rows with a negative definition number bound the next day of several definitions at once.
    """
    return _Builder(types, as_of_day, account_ids, dialect).verdicts(docs)


def compile_people(
    doc: tree.DefinitionDoc,
    *,
    types: EventTypes,
    as_of_day: int,
    account_ids: Sequence[int] | None,
    dialect: Dialect,
) -> Statement:
    """Rows (account id, user id) for whom a rule of level user holds; account 0 for people without one."""
    return _Builder(types, as_of_day, account_ids, dialect, loners=account_ids is None).people(doc)


def compile_measures(
    rule: tree.Node,
    *,
    subject: Subject,
    types: EventTypes,
    as_of_day: int,
    account_ids: Sequence[int],
    dialect: Dialect,
    best: int | None = None,
) -> Statement:
    """What every condition measured: rows (account id, user id, holds, then measured and 1/0 for each leaf).

    Leaves are those of `subject` in reading order; user id is 0 for accounts. The expressions are the
    verdict's own. With `best`, only so many people: who qualifies and whom most conditions hold for first.
    """
    return _Builder(types, as_of_day, account_ids, dialect).measures(rule, subject, best)


def compile_stretches(
    nodes: Sequence[tuple[Leafy, int]], *, types: EventTypes, as_of_day: int, account_id: int, dialect: Dialect
) -> Statement:
    """For conditions with a window `any_days`: rows (place in `nodes`, last day of the best stretch, measured).

    Each comes with the person it is asked of (0: the account). Of equally good stretches, the latest.
    """
    return _Builder(types, as_of_day, [account_id], dialect).stretches(nodes)


def compile_behind(
    nodes: Sequence[tuple[Leafy, Sequence[int]]],
    *,
    types: EventTypes,
    as_of_day: int,
    account_id: int,
    dialect: Dialect,
    people: int,
    days: int,
) -> Statement:
    """The people and days behind usage conditions of one account: rows (place in `nodes`, what, id, n, newest).

    Each node comes with the people it is about (none named: everybody in the account). `what` is 0 for totals
    (id: different people, n: different days, newest: microseconds), 1 for a person (n: events; most first, at
    most `people`) and 2 for a day (n: events; newest first, at most `days`).
    """
    return _Builder(types, as_of_day, [account_id], dialect).behind(nodes, people, days)


def distinct_conditions(docs: Iterable[tree.DefinitionDoc]) -> set[tuple[Subject, Leafy]]:
    """The measurements that a statement over `docs` makes; a caller splits what would be too wide."""
    return {(leaf.subject, leaf.node) for doc in docs for leaf in tree.leaves(doc.rule, "/rule", subject=doc.level)}


def ids_of(node: Leafy, types: EventTypes) -> tuple[int, ...]:
    """The event types that a condition counts."""
    if isinstance(node, tree.Distinct):
        return types.resolve_collecting(node.events, node.of)
    return types.resolve(node.events) if isinstance(node, tree.UsageCondition) else ()


class _Builder:
    def __init__(
        self,
        types: EventTypes,
        as_of_day: int,
        account_ids: Sequence[int] | None,
        dialect: Dialect,
        *,
        loners: bool = False,
    ) -> None:
        self.types = types
        self.day = int(as_of_day)
        self.account_ids = None if account_ids is None else sorted({int(number) for number in account_ids})
        self.dialect = dialect
        self.loners = loners
        self.params: dict[str, str] = {}
        self.bound: dict[str, str] = {}
        self.every_type = set(types.ids.values())
        # conditions in order of appearance, by subject: their place is the number in the column names
        self.leaves: dict[Subject, dict[Leafy, int]] = {"account": {}, "user": {}}
        self.people_rules: dict[tree.Node, int] = {}  # asked of (account, person)
        self.with_parts: list[tuple[str, str]] = []

    # --- entry points

    def verdicts(self, docs: Sequence[tree.DefinitionDoc]) -> Statement:
        for doc in docs:
            self.register(doc.rule, doc.level)
        self.tables()
        rows: list[str] = []
        for number, doc in enumerate(docs):
            if doc.level == "account":
                rows.append(
                    f"SELECT {number} AS definition, account_id, 0 AS user_id, holds, next_day FROM ("
                    f"SELECT account_id, {_truth(self.holds(doc.rule, 'account'))} AS holds,"
                    f" {self.soonest(doc.rule, 'account')} AS next_day FROM accts) r{number}"
                    " WHERE holds = 1 OR next_day IS NOT NULL"
                )
            else:
                rule = self.people_rules[doc.rule]
                rows.append(
                    f"SELECT {number} AS definition, account_id, user_id, 1 AS holds, {_NO_DAY} AS next_day"
                    f" FROM people WHERE h{rule} = 1"
                )
                rows.append(
                    f"SELECT {number} AS definition, account_id, 0 AS user_id, 0 AS holds, MIN(n{rule}) AS next_day"
                    f" FROM people WHERE n{rule} IS NOT NULL GROUP BY account_id"
                )
        rows += self.bounds()
        return self.statement("\nUNION ALL ".join(rows))

    def people(self, doc: tree.DefinitionDoc) -> Statement:
        self.register(doc.rule, "user")
        self.tables()
        rule = self.people_rules[doc.rule]
        return self.statement(f"SELECT account_id, user_id FROM people WHERE h{rule} = 1")

    def measures(self, rule: tree.Node, subject: Subject, best: int | None) -> Statement:
        self.register(rule, subject)
        self.tables()
        nodes = [leaf.node for leaf in tree.leaves(rule, subject=subject) if leaf.subject == subject]
        answers = [_truth(self.holds(node, subject)) for node in nodes]
        columns = [f"{self.measured(node, subject)}, {answer}" for node, answer in zip(nodes, answers, strict=True)]
        table, user = ("accts", "0") if subject == "account" else ("pairs", "user_id")
        first = "" if best is None else f" ORDER BY 3 DESC, {' + '.join(answers)} DESC, 2 LIMIT {int(best)}"
        return self.statement(
            f"SELECT account_id, {user} AS user_id, {_truth(self.holds(rule, subject))} AS holds, "
            + ", ".join(columns)
            + f" FROM {table}{first}"
        )

    def stretches(self, nodes: Sequence[tuple[Leafy, int]]) -> Statement:
        self.with_parts.append(("acct", self.accounts()))
        rows = []
        for place, (node, user_id) in enumerate(nodes):
            keys = "account_id, user_id" if user_id else "account_id"
            only = f" WHERE user_id = {int(user_id)}" if user_id else ""
            rows.append(
                f"SELECT * FROM (SELECT {place} AS place, day, m FROM ({self.sliding(node, keys)}) w{place}{only}"
                f" ORDER BY m DESC, day DESC LIMIT 1) b{place}"
            )
        return self.statement("\nUNION ALL ".join(rows))

    def behind(self, nodes: Sequence[tuple[Leafy, Sequence[int]]], people: int, days: int) -> Statement:
        self.with_parts.append(("acct", self.accounts()))
        rows = []
        for place, (node, user_ids) in enumerate(nodes):
            ids = self.ids_of(node)
            scan = self.usage_scan("accounts_usageday", ids, by_person=_needs_person(node))
            scan += f" AND {self.match(ids, _window(node), ids)}"
            scan += f" AND u.user_id IN {_numbers(user_ids)}" if user_ids else ""
            head = f"SELECT {place} AS place,"
            newest = "MAX(u.last_us) AS newest"
            events = "CAST(SUM(u.count) AS BIGINT) AS n"
            rows += [
                f"{head} 0 AS what, COUNT(DISTINCT CASE WHEN u.user_id > 0 THEN u.user_id END) AS id,"
                f" COUNT(DISTINCT u.day) AS n, {newest}{scan}",
                f"SELECT * FROM ({head} 1 AS what, u.user_id AS id, {events}, {newest}{scan} AND u.user_id > 0"
                f" GROUP BY u.user_id ORDER BY n DESC, id LIMIT {int(people)}) p{place}",
                f"SELECT * FROM ({head} 2 AS what, u.day AS id, {events}, {newest}{scan}"
                f" GROUP BY u.day ORDER BY id DESC LIMIT {int(days)}) d{place}",
            ]
        return self.statement("\nUNION ALL ".join(rows))

    def statement(self, final: str) -> Statement:
        parts = ",\n".join(f"{name} AS ({text})" for name, text in self.with_parts)
        return Statement(f"WITH {parts}\n{final}", self.params)

    # --- what is asked

    def register(self, rule: tree.Node, subject: Subject) -> None:
        if subject == "user":
            self.people_rules.setdefault(rule, len(self.people_rules))
        for leaf in tree.leaves(rule, subject=subject):
            known = self.leaves[leaf.subject]
            known.setdefault(leaf.node, len(known))
            if isinstance(leaf.node, tree.UsersWho):
                self.people_rules.setdefault(leaf.node.rule, len(self.people_rules))

    def of_kind(self, subject: Subject, *kinds: type) -> list[Leafy]:
        return [node for node in self.leaves[subject] if isinstance(node, kinds)]

    def bind(self, text: str) -> str:
        if text not in self.bound:
            name = f"p{len(self.bound)}"
            self.bound[text], self.params[name] = f"%({name})s", text
        return self.bound[text]

    # --- the tables of the statement

    def tables(self) -> None:
        self.with_parts.append(("acct", self.accounts()))
        if self.people_rules:
            self.with_parts.append(("members", self.members()))
        self.usage_tables()
        self.value_tables()
        self.sliding_tables()
        self.trait_tables()
        self.stage_table()
        if self.people_rules:
            self.wide("user")
            self.people_table()
        if self.leaves["account"]:
            self.wide("account")

    def accounts(self) -> str:
        loners = f" UNION ALL SELECT 0, {_NO_DAY}" if self.loners else ""
        return f"SELECT a.id, a.signup_day FROM accounts_account a WHERE {self.asked()}{loners}"

    def asked(self) -> str:
        """Whether the account `a` is asked about. On SQLite in the order of ids: see `usage_scan`."""
        here = f"a.merged_into_id IS NULL AND NOT a.is_internal AND a.signup_day <= {self.day}"
        if self.account_ids and self.dialect == "sqlite":
            here += f" AND a.id >= {self.account_ids[0]} AND a.id <= {self.account_ids[-1]}"
            return f"{here} AND +a.id IN {_numbers(self.account_ids)}"
        return here + self.only_asked("a.id")

    def only_asked(self, column: str) -> str:
        return "" if self.account_ids is None else f" AND {column} IN {_numbers(self.account_ids)}"

    def members(self) -> str:
        """The pairs (account, person) of the day."""
        loners = (
            " UNION ALL SELECT 0, p.id, p.signup_day FROM accounts_productuser p"
            f" WHERE p.merged_into_id IS NULL AND p.signup_day <= {self.day} AND NOT EXISTS ("
            " SELECT 1 FROM accounts_membership m WHERE m.user_id = p.id"
            f" AND m.from_day <= {self.day} AND m.to_day > {self.day})"
            if self.loners
            else ""
        )
        return (
            "SELECT DISTINCT m.account_id, m.user_id, p.signup_day"
            " FROM acct a CROSS JOIN accounts_membership m JOIN accounts_productuser p ON p.id = m.user_id"
            f" WHERE m.account_id = a.id AND m.from_day <= {self.day} AND m.to_day > {self.day}"
            f" AND p.merged_into_id IS NULL AND p.signup_day <= {self.day}{loners}"
        )

    def usage_scan(self, table: str, ids: Iterable[int], *, by_person: bool) -> str:
        """FROM and WHERE over usage (`u`) of the accounts (`a`), with the person (`p`) where a window needs it.

        CROSS JOIN means the same on every engine; SQLite also takes it as the order in which to look, and so
        groups by `a.id, u.user_id` along the unique key without sorting (a quarter of the time). The plus
        keeps it from the index on days, which would lose that order.
        """
        person = " LEFT JOIN accounts_productuser p ON p.id = u.user_id" if by_person else ""
        accounts, asked = ("acct a", "") if self.loners else ("accounts_account a", f" AND {self.asked()}")
        plus = "+" if self.dialect == "sqlite" else ""
        wanted = set(ids)
        types = "" if wanted >= self.every_type else f" AND u.event_type_id IN {_numbers(sorted(wanted))}"
        return (
            f" FROM {accounts} CROSS JOIN {table} u{person} WHERE u.account_id = a.id{asked}"
            f" AND {plus}u.day <= {self.day}{types}"
        )

    def match(self, ids: Sequence[int], window: windows.Window, scanned: Iterable[int]) -> str:
        """Whether the usage row `u` of a scan over the types `scanned` counts for a condition."""
        if not ids:
            return "1 = 0"
        inside = self.inside(window, "u.day", "p.signup_day")
        others = sorted(set(scanned) - set(ids))
        if not others:
            return inside or "1 = 1"
        if len(others) < len(ids):
            one_of = f"u.event_type_id NOT IN {_numbers(others)}"
        else:
            one_of = f"u.event_type_id IN {_numbers(ids)}"
        return f"{one_of} AND {inside}" if inside else one_of

    def inside(self, window: windows.Window, day: str, person_signup: str) -> str:
        """Whether a day lies in a window; "" when every day does."""
        match window:
            case windows.LastDays(length):
                return f"{day} > {self.day - length}"
            case windows.FirstDays(length, of):
                start = "a.signup_day" if of == "account" else person_signup
                return f"{day} >= {start} AND {day} < {start} + {length}"
            case windows.Dates(start_day, end_day):
                bounds = [f"{day} >= {start_day}"] if start_day is not None else []
                bounds += [f"{day} <= {end_day}"] if end_day is not None else []
                return " AND ".join(bounds)
            case _:
                return ""

    def ids_of(self, node: Leafy) -> tuple[int, ...]:
        return ids_of(node, self.types)

    def usage_tables(self) -> None:
        """`base`: account and person; `abase`: the account; `daily`: distinct days of the account."""
        plain = (tree.Count, tree.Users, tree.Days, tree.Recency)
        mine = {subject: self.standing(subject, *plain) for subject in self.leaves}
        nodes = list(dict.fromkeys([*mine["user"], *mine["account"]]))
        if not nodes:
            return
        ids = [number for node in nodes for number in self.ids_of(node)]
        by_person = any(_needs_person(node) for node in nodes)
        columns, sums = [], []
        for number, node in enumerate(nodes):
            match = self.match(self.ids_of(node), _window(node), ids)
            if isinstance(node, tree.Count):
                columns.append(f"CAST(SUM(CASE WHEN {match} THEN u.count ELSE 0 END) AS BIGINT) AS m{number}")
                sums.append(f"CAST(SUM(m{number}) AS BIGINT) AS m{number}")
            elif isinstance(node, tree.Users):
                columns.append(f"MAX(CASE WHEN {match} AND u.user_id > 0 THEN 1 ELSE 0 END) AS m{number}")
                sums.append(f"CAST(SUM(m{number}) AS BIGINT) AS m{number}")
            elif isinstance(node, tree.Recency):
                columns.append(f"MAX(CASE WHEN {match} THEN u.day END) AS m{number}")
                sums.append(f"MAX(m{number}) AS m{number}")
            elif node in mine["user"]:
                columns.append(f"COUNT(DISTINCT CASE WHEN {match} THEN u.day END) AS m{number}")
            if isinstance(_window(node), windows.LastDays):
                columns.append(f"MIN(CASE WHEN {match} THEN u.day END) AS l{number}")
                sums.append(f"MIN(l{number}) AS l{number}")
        self.usage_columns = {node: number for number, node in enumerate(nodes)}
        scan = self.usage_scan("accounts_usageday", ids, by_person=by_person)
        if columns:
            listed = ", ".join(columns)
            grouped = " GROUP BY a.id, u.user_id"
            self.with_parts.append(("base", f"SELECT a.id AS account_id, u.user_id, {listed}{scan}{grouped}"))
        if mine["account"] and sums:
            self.with_parts.append(("abase", f"SELECT account_id, {', '.join(sums)} FROM base GROUP BY account_id"))
        daily = [node for node in mine["account"] if isinstance(node, tree.Days)]
        if daily:
            ids = [number for node in daily for number in self.ids_of(node)]
            counted = ", ".join(
                f"COUNT(DISTINCT CASE WHEN {self.match(self.ids_of(node), _window(node), ids)} THEN u.day END)"
                f" AS m{self.usage_columns[node]}"
                for node in daily
            )
            scan = self.usage_scan("accounts_usageday", ids, by_person=False)
            self.with_parts.append(("daily", f"SELECT a.id AS account_id, {counted}{scan} GROUP BY a.id"))

    def standing(self, subject: Subject, *kinds: type) -> list[Leafy]:
        """Conditions of these kinds whose window does not slide over all time."""
        return [node for node in self.of_kind(subject, *kinds) if not isinstance(_window(node), windows.AnyDays)]

    def value_tables(self) -> None:
        for subject, name in (("user", "vals"), ("account", "avals")):
            nodes = self.standing(subject, tree.Distinct)  # type: ignore[arg-type]
            if not nodes:
                continue
            columns = []
            ids = [number for node in nodes for number in self.ids_of(node)]
            for node in nodes:
                number = self.leaves[subject][node]  # type: ignore[index]
                match = self.match(self.ids_of(node), _window(node), ids)
                columns.append(f"COUNT(DISTINCT CASE WHEN {match} THEN u.value END) AS m{number}")
                columns.append(f"MIN(CASE WHEN {match} THEN u.day END) AS l{number}")
            keys = "a.id, u.user_id" if subject == "user" else "a.id"
            scan = self.usage_scan("accounts_usagevalue", ids, by_person=any(_needs_person(node) for node in nodes))
            named = keys.replace("a.id", "a.id AS account_id")
            self.with_parts.append((name, f"SELECT {named}, {', '.join(columns)}{scan} GROUP BY {keys}"))

    def sliding_tables(self) -> None:
        """`slid` and `aslid`: the best stretch of `any_days`, a row for each condition, then pivoted."""
        kinds = (tree.Count, tree.Users, tree.Days, tree.Distinct)
        for subject, name in (("user", "slid"), ("account", "aslid")):
            nodes = [
                node
                for node in self.of_kind(subject, *kinds)  # type: ignore[arg-type]
                if isinstance(_window(node), windows.AnyDays)
            ]
            if not nodes:
                continue
            keys = "account_id, user_id" if subject == "user" else "account_id"
            numbers = [self.leaves[subject][node] for node in nodes]  # type: ignore[index]
            rows = [
                f"SELECT {keys}, {number} AS leaf, CAST(MAX(m) AS BIGINT) AS m"
                f" FROM ({self.sliding(node, keys)}) w{number}"
                f" GROUP BY {keys}"
                for node, number in zip(nodes, numbers, strict=True)
            ]
            self.with_parts.append((f"{name}_rows", "\nUNION ALL ".join(rows)))
            pivot = ", ".join(f"MAX(CASE WHEN leaf = {number} THEN m END) AS m{number}" for number in numbers)
            self.with_parts.append((name, f"SELECT {keys}, {pivot} FROM {name}_rows GROUP BY {keys}"))

    def sliding(self, node: Leafy, keys: str) -> str:
        """Rows (keys, day, m): what was counted in the stretch that ends on each day with a row."""
        window = _window(node)
        length = window.days - 1 if isinstance(window, windows.AnyDays) else 0
        ids = self.ids_of(node)
        prefixed = ", ".join(f"u.{key}" for key in keys.split(", "))
        over = f"ORDER BY day RANGE BETWEEN {length} PRECEDING AND CURRENT ROW)"
        if isinstance(node, (tree.Count, tree.Days)):
            scan = self.usage_scan("accounts_usageday", ids, by_person=False)
            if isinstance(node, tree.Count):  # a range takes in all rows of its first and last day
                return f"SELECT {prefixed}, u.day, SUM(u.count) OVER (PARTITION BY {prefixed} {over} AS m{scan}"
            return (
                f"SELECT {keys}, day, COUNT(*) OVER (PARTITION BY {keys} {over} AS m"
                f" FROM (SELECT DISTINCT {prefixed}, u.day{scan}) d"
            )
        # different people or values cannot be summed: each ending day looks back over its stretch
        table = "accounts_usagevalue" if isinstance(node, tree.Distinct) else "accounts_usageday"
        thing = "u.value" if isinstance(node, tree.Distinct) else "u.user_id"
        scan = self.usage_scan(table, ids, by_person=False) + (
            "" if isinstance(node, tree.Distinct) else " AND u.user_id > 0"
        )
        same = " AND ".join(f"h.{key} = e.{key}" for key in keys.split(", "))
        listed = ", ".join(f"e.{key}" for key in keys.split(", "))
        return (
            f"SELECT {listed}, e.day, COUNT(DISTINCT h.thing) AS m FROM (SELECT DISTINCT {prefixed}, u.day{scan}) e"
            f" JOIN (SELECT DISTINCT {prefixed}, u.day, {thing} AS thing{scan}) h"
            f" ON {same} AND h.day <= e.day AND h.day >= e.day - {length} GROUP BY {listed}, e.day"
        )

    def trait_tables(self) -> None:
        """`atrait` by account, `utrait` by person: does a value that stands match, and when does that change."""
        found = self.of_kind("account", tree.Trait) + self.of_kind("user", tree.Trait)
        traits = [node for node in dict.fromkeys(found) if isinstance(node, tree.Trait)]
        self.trait_columns = {node: number for number, node in enumerate(traits)}
        for of, name in (("account", "atrait"), ("user", "utrait")):
            columns, names = [], set()
            for node, number in self.trait_columns.items():
                if node.of != of:
                    continue
                named = self.bind(node.name)
                names.add(named)
                stands = f"t.name = {named} AND t.from_day <= {self.day}"
                measured = "t.number" if node.op in ("at_least", "at_most", "between") else "1"
                columns.append(f"MAX(CASE WHEN {stands} AND {self.trait_test(node)} THEN 1 ELSE 0 END) AS m{number}")
                columns.append(f"MAX(CASE WHEN {stands} AND {_HAS_VALUE} THEN {measured} END) AS v{number}")
                columns.append(
                    f"MIN(CASE WHEN t.name = {named} AND t.from_day > {self.day} THEN t.from_day"
                    f" WHEN t.name = {named} AND t.to_day < {FOREVER} THEN t.to_day END) AS n{number}"
                )
            if not columns:
                continue
            if of == "account":
                source, key = "acct a CROSS JOIN accounts_traitvalue t WHERE t.account_id = a.id", "t.account_id"
            else:
                source = (
                    "(SELECT DISTINCT user_id FROM members) q CROSS JOIN accounts_traitvalue t"
                    " WHERE t.user_id = q.user_id"
                )
                key = "t.user_id"
            text = (
                f"SELECT {key}, {', '.join(columns)} FROM {source} AND t.name IN ({', '.join(sorted(names))})"
                f" AND t.to_day > {self.day} AND t.to_day > t.from_day GROUP BY {key}"
            )
            self.with_parts.append((name, text))

    def trait_test(self, node: tree.Trait) -> str:
        if node.op == "is_set":
            return _HAS_VALUE
        if node.op in ("in", "exactly"):
            either = []
            if node.texts:
                listed = ", ".join(self.bind(text) for text in node.texts)
                either.append(f"(t.number IS NULL AND t.text IN ({listed}) AND {_HAS_VALUE})")
            if node.numbers:
                either.append(f"t.number IN {_numbers(node.numbers)}")
            return f"({' OR '.join(either)})"
        bounds = [f"t.number >= {node.low}"] if node.low is not None else []
        bounds += [f"t.number <= {node.high}"] if node.high is not None else []
        return " AND ".join(bounds)

    def stage_table(self) -> None:
        """`stage`: by account, the newest entry up to the day (in the window), and the first one after it."""
        kinds = (tree.StageReached, tree.StageSince)
        found = self.of_kind("account", *kinds) + self.of_kind("user", *kinds)
        self.stage_columns = {
            node: number
            for number, node in enumerate(dict.fromkeys(found))
            if isinstance(node, kinds) and node.stage != "signed_up"
        }
        if not self.stage_columns:
            return
        columns, names = [], set()
        for node, number in self.stage_columns.items():
            if not isinstance(node, kinds):
                continue
            named = self.bind(node.stage)
            names.add(named)
            inside = self.inside(node.window, "s.day", "") if isinstance(node, tree.StageReached) else ""
            entered = f"s.stage = {named} AND s.day <= {self.day}" + (f" AND {inside}" if inside else "")
            columns.append(f"MAX(CASE WHEN {entered} THEN s.day END) AS m{number}")
            columns.append(f"MIN(CASE WHEN s.stage = {named} AND s.day > {self.day} THEN s.day END) AS n{number}")
        self.with_parts.append(
            (
                "stage",
                f"SELECT s.account_id, {', '.join(columns)} FROM acct a CROSS JOIN accounts_stageentry s"
                f" WHERE s.account_id = a.id AND s.stage IN ({', '.join(sorted(names))}) GROUP BY s.account_id",
            )
        )

    # --- the wide tables

    def wide(self, subject: Subject) -> None:
        """`pairs` or `accts`: m (measured) and n (next day) of every condition of the subject."""
        names = {name for name, _ in self.with_parts}
        person = subject == "user"
        by_pair = "x.account_id = s.account_id AND x.user_id = s.user_id"
        by_account = "x.account_id = s.account_id"
        tables = {
            "base" if person else "abase": by_pair if person else by_account,
            "vals" if person else "avals": by_pair if person else by_account,
            "slid" if person else "aslid": by_pair if person else by_account,
            "atrait": by_account,
            "stage": by_account,
        }
        tables |= {"utrait": "x.user_id = s.user_id"} if person else {"daily": by_account, "who": by_account}
        joins = "".join(
            f" LEFT JOIN {table} ON {on.replace('x.', f'{table}.')}" for table, on in tables.items() if table in names
        )
        columns = []
        for node, number in self.leaves[subject].items():
            measured, changes = self.columns_of(node, number, subject)
            columns += [f"{measured} AS m{number}", f"{changes} AS n{number}"]
            if isinstance(node, tree.Trait):
                columns.append(
                    f"{'utrait' if node.of == 'user' else 'atrait'}.v{self.trait_columns[node]} AS v{number}"
                )
        if person:
            source = "members s JOIN acct a ON a.id = s.account_id"
            keys = "s.account_id, s.user_id"
        else:
            source = "(SELECT id AS account_id, signup_day FROM acct WHERE id > 0) s JOIN acct a ON a.id = s.account_id"
            keys = "s.account_id"
        listed = ", ".join([keys, *columns])
        self.with_parts.append(("pairs" if person else "accts", f"SELECT {listed} FROM {source}{joins}"))

    def columns_of(self, node: Leafy, number: int, subject: Subject) -> tuple[str, str]:
        """SQL of the measured value and of the next day on which time alone changes the condition's answer."""
        person = subject == "user"
        match node:
            case tree.UsersWho():
                rule = self.people_rules[node.rule]
                return f"COALESCE(who.h{rule}, 0)", f"who.n{rule}"
            case tree.Trait():
                column, table = self.trait_columns[node], "utrait" if node.of == "user" else "atrait"
                return f"COALESCE({table}.m{column}, 0)", f"{table}.n{column}"
            case tree.StageReached() | tree.StageSince():
                return self.stage_columns_of(node)
            case tree.Recency():
                last = f"{'base' if person else 'abase'}.m{self.usage_columns[node]}"
                length = node.within_days if node.within_days is not None else node.not_for_days
                return last, f"CASE WHEN {last} + {length} > {self.day} THEN {last} + {length} END"
        if isinstance(_window(node), windows.AnyDays):
            return f"COALESCE({'slid' if person else 'aslid'}.m{number}, 0)", _NO_DAY
        if isinstance(node, tree.Distinct):
            table = "vals" if person else "avals"
            measured, oldest = f"COALESCE({table}.m{number}, 0)", f"{table}.l{number}"
        else:
            column, table = self.usage_columns[node], "base" if person else "abase"
            counted = "daily" if isinstance(node, tree.Days) and not person else table
            measured, oldest = f"COALESCE({counted}.m{column}, 0)", f"{table}.l{column}"
        window = _window(node)
        if not isinstance(window, windows.LastDays):
            return measured, _NO_DAY
        # days only leave the window: what is below the lowest accepted number stays there
        compare = node.compare
        falls = f"{measured} > {compare.high}" if compare.op == "at_most" else f"{measured} >= {compare.low}"
        return measured, f"CASE WHEN {falls} THEN {oldest} + {window.days} END"

    def stage_columns_of(self, node: tree.StageReached | tree.StageSince) -> tuple[str, str]:
        """Measured: the day of the newest entry that counts, or NULL."""
        if node.stage == "signed_up":
            inside = self.inside(node.window, "a.signup_day", "") if isinstance(node, tree.StageReached) else ""
            entered = f"CASE WHEN {inside} THEN a.signup_day END" if inside else "a.signup_day"
            later = _NO_DAY
        else:
            number = self.stage_columns[node]
            entered, later = f"stage.m{number}", f"stage.n{number}"
        ends: list[int] = []
        if isinstance(node, tree.StageReached):
            ends = [node.window.days] if isinstance(node.window, windows.LastDays) else []
        else:
            ends += [node.at_least_days] if node.at_least_days is not None else []
            ends += [node.at_most_days + 1] if node.at_most_days is not None else []
        changes = [f"CASE WHEN {entered} + {end} > {self.day} THEN {entered} + {end} END" for end in ends]
        return entered, self.least([*changes, later])

    def people_table(self) -> None:
        """`people`: does each rule about a person hold (h) and until when (n); `who`: counted by account."""
        columns, counts = [], []
        for rule, number in self.people_rules.items():
            columns.append(f"{_truth(self.holds(rule, 'user'))} AS h{number}")
            columns.append(f"{self.soonest(rule, 'user')} AS n{number}")
            counts.append(f"CAST(SUM(h{number}) AS BIGINT) AS h{number}, MIN(n{number}) AS n{number}")
        self.with_parts.append(("people", f"SELECT account_id, user_id, {', '.join(columns)} FROM pairs"))
        if self.of_kind("account", tree.UsersWho):
            self.with_parts.append(("who", f"SELECT account_id, {', '.join(counts)} FROM people GROUP BY account_id"))

    # --- expressions over the wide tables

    def holds(self, rule: tree.Node, subject: Subject) -> str:
        """The tree as a boolean expression that is never NULL."""
        match rule:
            case tree.All(of):
                return "(" + " AND ".join(self.holds(part, subject) for part in of) + ")"
            case tree.Any_(of):
                return "(" + " OR ".join(self.holds(part, subject) for part in of) + ")"
            case tree.Not(of=part):
                return f"(NOT {self.holds(part, subject)})"
            case tree.AtLeast(k, of):
                return "(" + " + ".join(_truth(self.holds(part, subject)) for part in of) + f" >= {k})"
        column = f"m{self.leaves[subject][rule]}"
        match rule:
            case tree.Trait():
                return f"(COALESCE({column}, 0) = 1)" if rule.is_set else f"(COALESCE({column}, 0) = 0)"
            case tree.StageReached():
                return f"({column} IS NOT NULL)"
            case tree.StageSince(_, low, high):
                bounds = [f"{column} IS NOT NULL"]
                bounds += [f"{column} <= {self.day - low}"] if low is not None else []
                bounds += [f"{column} >= {self.day - high}"] if high is not None else []
                return "(" + " AND ".join(bounds) + ")"
            case tree.Recency(_, within_days, not_for_days):
                if within_days is not None:
                    return f"({column} IS NOT NULL AND {column} > {self.day - within_days})"
                return f"({column} IS NULL OR {column} <= {self.day - (not_for_days or 0)})"
        return _judged(column, rule.compare)

    def measured(self, node: Leafy, subject: Subject) -> str:
        """The column that evidence shows: of a trait its number (or 1: there is a value), else what was judged."""
        return f"{'v' if isinstance(node, tree.Trait) else 'm'}{self.leaves[subject][node]}"

    def soonest(self, rule: tree.Node, subject: Subject) -> str:
        """The first day on which time alone may change any condition of the tree; NULL: never."""
        numbers = dict.fromkeys(
            self.leaves[subject][leaf.node] for leaf in tree.leaves(rule, subject=subject) if leaf.subject == subject
        )
        return self.least([f"n{number}" for number in numbers])

    def least(self, days: Sequence[str]) -> str:
        """The smallest that is not NULL."""
        days = [day for day in days if day != _NO_DAY]
        if not days:
            return _NO_DAY
        if len(days) == 1:
            return days[0]
        name = "MIN" if self.dialect == "sqlite" else "LEAST"
        return f"NULLIF({name}({', '.join(f'COALESCE({day}, {_FAR})' for day in days)}), {_FAR})"

    # --- what will happen without a new message: signed up later, joins or leaves later, dated in the future

    def bounds(self) -> list[str]:
        rows = [
            f"SELECT {EVERY_DEFINITION} AS definition, a.id AS account_id, 0 AS user_id, 0 AS holds,"
            " a.signup_day AS next_day FROM accounts_account a WHERE a.merged_into_id IS NULL AND NOT a.is_internal"
            f" AND a.signup_day > {self.day}{self.only_asked('a.id')}"
        ]
        nodes = [*self.leaves["account"], *self.leaves["user"]]
        ids = sorted({number for node in nodes for number in self.ids_of(node)})
        if ids:
            rows.append(
                f"SELECT {EVERY_DEFINITION} AS definition, u.account_id, 0 AS user_id, 0 AS holds,"
                " MIN(u.day) AS next_day FROM acct a CROSS JOIN accounts_usageday u WHERE u.account_id = a.id"
                f" AND u.day > {self.day} AND u.event_type_id IN {_numbers(ids)} GROUP BY u.account_id"
            )
        if self.people_rules:
            changes = (
                f"CASE WHEN m.from_day > {self.day} THEN m.from_day WHEN p.signup_day > {self.day} THEN p.signup_day"
                f" WHEN m.to_day < {FOREVER} THEN m.to_day END"
            )
            rows.append(
                f"SELECT {PEOPLE_DEFINITIONS} AS definition, m.account_id, 0 AS user_id, 0 AS holds,"
                f" MIN({changes}) AS next_day FROM acct a CROSS JOIN accounts_membership m"
                " JOIN accounts_productuser p ON p.id = m.user_id WHERE m.account_id = a.id"
                f" AND p.merged_into_id IS NULL AND m.to_day > {self.day} AND m.to_day > m.from_day"
                f" AND (m.from_day > {self.day} OR m.to_day < {FOREVER} OR p.signup_day > {self.day})"
                " GROUP BY m.account_id"
            )
        return rows


# null is no value, and neither is an empty text
_HAS_VALUE = "t.text <> '' AND CAST(t.value AS TEXT) <> 'null'"


def _window(node: Leafy) -> windows.Window:
    return getattr(node, "window", None) or windows.Ever()


def _needs_person(node: Leafy) -> bool:
    window = _window(node)
    return isinstance(window, windows.FirstDays) and window.of == "user"


def _numbers(numbers: Sequence[int]) -> str:
    """A list for IN; no number at all matches nothing."""
    return f"({', '.join(str(int(number)) for number in numbers)})" if numbers else "(NULL)"


def _truth(expression: str) -> str:
    return f"CASE WHEN {expression} THEN 1 ELSE 0 END"


def _judged(column: str, compare: tree.Compare) -> str:
    if compare.op == "in":
        return f"({column} IN {_numbers(compare.values)})"
    bounds = [f"{column} >= {compare.low}"] if compare.low is not None else []
    bounds += [f"{column} <= {compare.high}"] if compare.high is not None else []
    return "(" + " AND ".join(bounds) + ")"
