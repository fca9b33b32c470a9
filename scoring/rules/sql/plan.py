"""What a statement is about: the accounts, the day, the conditions asked, and the tables made so far."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from scoring.rules import tree, windows
from scoring.rules.sql.terms import FAR, NO_DAY, Dialect, EventTypes, Leafy, Statement, in_list, window_of
from scoring.rules.windows import Subject

_FEW = 3  # windows that a scan tests each row against before anything is counted


class Plan:
    """Collects conditions, bound texts and the parts of the WITH clause, in order."""

    def __init__(
        self,
        types: EventTypes,
        as_of_day: int,
        account_ids: Sequence[int] | None,
        dialect: Dialect,
        *,
        loners: bool = False,
        holders_only: bool = False,
        since_day: int | None = None,
    ) -> None:
        self.types = types
        self.day = int(as_of_day)
        self.since = since_day  # of a history: what was before that day need not be told
        self.between = account_ids if isinstance(account_ids, range) else None  # all accounts with these ids
        some = None if account_ids is None or self.between is not None else account_ids
        self.account_ids = None if some is None else sorted({int(number) for number in some})
        self.dialect = dialect
        self.loners = loners
        self.only_whether = False  # whether conditions hold is all that is told, and not what they measured
        # Whether those who can never come to hold are left out first, which makes questions about everybody twice as
        # fast. PostgreSQL takes a sieve to let one row through and loops over what follows: minutes for 500 accounts.
        self.sifts = dialect == "duckdb"
        self.worth = ""  # the accounts (id) whose usage is worth looking at, once that is known; "": all
        self.holders_only = holders_only  # nothing is told of those for whom nothing holds
        self.params: dict[str, str] = {}
        self.bound: dict[str, str] = {}
        self.every_type = set(types.ids.values())
        # conditions in order of appearance, by subject: their place is the number in the column names
        self.leaves: dict[Subject, dict[Leafy, int]] = {"account": {}, "user": {}}
        self.people_rules: dict[tree.Node, int] = {}  # asked of (account, person)
        # the number of a measurement in the tables that account and person share, and in which of them it is
        self.usage_columns: dict[Leafy, int] = {}
        self.usage_table: dict[tuple[Subject, Leafy], str] = {}
        self.trait_columns: dict[tree.Trait, int] = {}
        self.changed_columns: dict[tree.TraitChanged, int] = {}
        self.stage_columns: dict[Leafy, int] = {}
        self.limit_columns: dict[tree.Share, int] = {}
        self.with_parts: list[tuple[str, str]] = []

    def register(self, rule: tree.Node, subject: Subject) -> None:
        """Ask a rule of the subject: each of its conditions gets a place, equal ones the same."""
        if subject == "user":
            self.people_rules.setdefault(rule, len(self.people_rules))
        for whose, node in tree.measurements(rule, subject=subject):
            known = self.leaves[whose]
            known.setdefault(node, len(known))
            if isinstance(node, tree.UsersWho):
                self.people_rules.setdefault(node.rule, len(self.people_rules))

    def of_kind(self, subject: Subject, *kinds: type) -> list[Leafy]:
        """The conditions of these kinds that are asked of the subject."""
        return [node for node in self.leaves[subject] if isinstance(node, kinds)]

    def bind(self, text: str) -> str:
        """The placeholder of a text."""
        if text not in self.bound:
            name = f"p{len(self.bound)}"
            self.bound[text], self.params[name] = f"%({name})s", text
        return self.bound[text]

    @property
    def few(self) -> bool:
        """Whether a few accounts are asked about, which have an index."""
        return self.account_ids is not None and self.dialect != "duckdb"

    def has(self, name: str) -> bool:
        """Whether there is such a table already."""
        return any(name == known for known, _ in self.with_parts)

    def back(self, days: int) -> windows.Window:
        """The days of usage that matter where it counts for so many days."""
        return windows.Ever() if self.since is None else windows.Dates(self.since - days + 1, None)

    def add(self, name: str, text: str) -> None:
        """One more table of the WITH clause."""
        self.with_parts.append((name, text))

    def named(self, name: str, text: str) -> str:
        """One more table whose name begins so; its whole name. SQLite takes so many queries within queries only."""
        name = f"{name}_{len(self.with_parts)}"
        self.add(name, text)
        return name

    def accounts(self) -> str:
        """The accounts asked about; as number 0 those without one, if people are asked for everywhere."""
        loners = f" UNION ALL SELECT 0, {NO_DAY}" if self.loners else ""
        return f"SELECT a.id, a.signup_day FROM accounts_account a WHERE {self.asked()}{loners}"

    def asked(self) -> str:
        """Whether the account `a` is asked about. On SQLite in the order of ids: see `usage_scan`."""
        here = f"a.merged_into_id IS NULL AND NOT a.is_internal AND a.signup_day <= {self.day}"
        if self.account_ids and self.dialect == "sqlite":
            here += f" AND a.id >= {self.account_ids[0]} AND a.id <= {self.account_ids[-1]}"
            return f"{here} AND +a.id IN {in_list(self.account_ids)}"
        return here + self.only_asked("a.id")

    def only_asked(self, column: str) -> str:
        """Limits a column of account ids to those asked about."""
        worth = f" AND {column} IN ({self.worth})" if self.worth else ""
        if self.between is not None:
            return f" AND {column} >= {self.between.start} AND {column} < {self.between.stop}{worth}"
        return worth if self.account_ids is None else f" AND {column} IN {in_list(self.account_ids)}{worth}"

    def members(self, who: str = "") -> str:
        """The pairs (account, person) of the day; with `who`, rows (account_id, user_id), of those only."""
        loners = (
            " UNION ALL SELECT 0, p.id, p.signup_day FROM accounts_productuser p"
            f" WHERE p.merged_into_id IS NULL AND p.signup_day <= {self.day} AND NOT EXISTS ("
            " SELECT 1 FROM accounts_membership m WHERE m.user_id = p.id"
            f" AND m.from_day <= {self.day} AND m.to_day > {self.day})"
            if self.loners
            else ""
        )
        only = f" AND (m.account_id, m.user_id) IN ({who})" if who else ""
        return (
            "SELECT DISTINCT m.account_id, m.user_id, p.signup_day"
            " FROM acct a CROSS JOIN accounts_membership m JOIN accounts_productuser p ON p.id = m.user_id"
            f" WHERE m.account_id = a.id AND m.from_day <= {self.day} AND m.to_day > {self.day}"
            f" AND p.merged_into_id IS NULL AND p.signup_day <= {self.day}{only}{loners}"
        )

    def usage_scan(
        self,
        table: str,
        ids: Iterable[int],
        *,
        by_person: bool,
        joined: str = "",
        within: Iterable[windows.Window] = (windows.Ever(),),
    ) -> str:
        """FROM and WHERE over usage (`u`) of the accounts (`a`), with the person (`p`) where a window needs it, and
        with what else is `joined`. Days outside all windows `within` are left out where that is a cheap test.

        CROSS JOIN means the same on every engine; SQLite also takes it as the order in which to look, and so
        groups by `a.id, u.user_id` along the unique key without sorting (a quarter of the time). The plus
        keeps it from the index on days, which would lose that order.
        """
        person = " LEFT JOIN accounts_productuser p ON p.id = u.user_id" if by_person else ""
        accounts, asked = ("acct a", "") if self.loners else ("accounts_account a", f" AND {self.asked()}")
        plus = "+" if self.dialect == "sqlite" else ""
        wanted = set(ids)
        types = "" if wanted >= self.every_type else f" AND u.event_type_id IN {in_list(sorted(wanted))}"
        return (
            f" FROM {accounts} CROSS JOIN {table} u{person}{joined} WHERE u.account_id = a.id{asked}"
            f" AND {plus}u.day <= {self.day}{self._days(within, f'{plus}u.day')}{types}"
        )

    def _days(self, within: Iterable[windows.Window], day: str) -> str:
        """Limits a scan to the days of several windows; "" where they are too many or reach back for ever."""
        longest: dict[object, windows.Window] = {}  # of those that end, or begin, on the same day
        for window in sorted(set(within), key=lambda window: getattr(window, "days", 0)):
            nested = isinstance(window, windows.LastDays | windows.FirstDays)
            longest[(type(window), getattr(window, "of", "")) if nested else window] = window
        each = {self.inside(window, day, "p.signup_day") for window in longest.values()}
        if "" in each or not 1 <= len(each) <= _FEW:
            return ""
        return f" AND ({' OR '.join(f'({one})' for one in sorted(each))})"

    def match(self, ids: Sequence[int], window: windows.Window, scanned: Iterable[int]) -> str:
        """Whether the usage row `u` of a scan over the types `scanned` counts for a condition."""
        if not ids:
            return "1 = 0"
        inside = self.inside(window, "u.day", "p.signup_day")
        others = sorted(set(scanned) - set(ids))
        if not others:
            return inside or "1 = 1"
        if len(others) < len(ids):
            one_of = f"u.event_type_id NOT IN {in_list(others)}"
        else:
            one_of = f"u.event_type_id IN {in_list(ids)}"
        return f"{one_of} AND {inside}" if inside else one_of

    def inside(self, window: windows.Window, day: str, person_signup: str) -> str:
        """Whether a day lies in a window; "" when every day does."""
        match window:
            case windows.LastDays(length):
                return f"{day} > {self.day - length}"
            case windows.BillingMonth():
                return f"{day} >= {windows.month_start(self.day)}"
            case windows.FirstDays(length, of):
                start = "a.signup_day" if of == "account" else person_signup
                return f"{day} >= {start} AND {day} < {start} + {length}"
            case windows.Dates(start_day, end_day):
                bounds = [f"{day} >= {start_day}"] if start_day is not None else []
                bounds += [f"{day} <= {end_day}"] if end_day is not None else []
                return " AND ".join(bounds)
            case _:
                return ""

    def standing(self, subject: Subject, *kinds: type) -> list[Leafy]:
        """Conditions of these kinds whose window does not slide over all time."""
        return [node for node in self.of_kind(subject, *kinds) if not isinstance(window_of(node), windows.AnyDays)]

    def lapses(self, window: windows.Window, day: str) -> str:
        """When what happened on a day leaves the window by time alone; NO_DAY: never."""
        if isinstance(window, windows.LastDays):
            return f"{day} + {window.days}"
        if isinstance(window, windows.BillingMonth):
            return f"CASE WHEN {day} IS NOT NULL THEN {windows.next_month(self.day)} END"
        return NO_DAY

    def least(self, days: Sequence[str]) -> str:
        """The smallest that is not NULL."""
        days = [day for day in days if day != NO_DAY]
        if not days:
            return NO_DAY
        if len(days) == 1:
            return days[0]
        name = "MIN" if self.dialect == "sqlite" else "LEAST"
        return f"NULLIF({name}({', '.join(f'COALESCE({day}, {FAR})' for day in days)}), {FAR})"

    def statement(self, final: str) -> Statement:
        """The whole statement: the tables so far, and the query over them."""
        parts = ",\n".join(f"{name} AS ({text})" for name, text in self.with_parts)
        return Statement(f"WITH {parts}\n{final}", self.params)
