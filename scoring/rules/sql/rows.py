"""Running sums along the days, several days to a row.

An account has usage on most days, and sorting its days is what a history takes longest for: so a row holds a whole week
of it, which is a fifth of the rows, and the sums of its seven days are plain additions. People come seldom: theirs hold
one day. A *row* is (account_id, user_id, day, c_0 …): its first day, and what each column c adds on each of its days.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from scoring.rules.sql.steps import BY_DAY, KEYS
from scoring.rules.sql.terms import Dialect
from scoring.rules.windows import Subject

LENGTH: dict[Subject, int] = {"account": 7, "user": 1}
_JOINED = 6  # parts that are joined at most
_MANY = 7_000_000  # rows: days before 1970 have their places too

At = Callable[[str], str]  # SQL of what a column adds up to


def placed(day: str, length: int) -> tuple[str, str]:
    """SQL of the first day of the row that a day lies in, and of its place in there."""
    if length == 1:
        return day, "0"
    place = f"({day} + {_MANY * length}) %% {length}"
    return f"{day} - {place}", place


@dataclass(frozen=True, slots=True)
class Part:
    """Rows of some of the columns, no two of one subject and day."""

    rows: str
    names: tuple[str, ...]  # c_0, c_1, …


def spread(table: str, columns: Mapping[str, str], length: int) -> Part:
    """A table of single days (account_id, user_id, day, …), with what each adds to the columns."""
    first, place = placed("day", length)
    sums = {
        f"{name}_{number}": f"CASE WHEN place = {number} THEN {added} ELSE 0 END"
        for name, added in columns.items()
        for number in range(length)
    }
    listed = ", ".join(f"CAST(SUM({added}) AS BIGINT) AS {name}" for name, added in sums.items())
    found = f"SELECT s.*, {first} AS begins, {place} AS place FROM {table} s"
    return Part(f"SELECT {KEYS}, begins AS day, {listed} FROM ({found}) p GROUP BY {KEYS}, begins", tuple(sums))


def moved(table: str, ages: Mapping[int, Mapping[str, tuple[int, str]]], until_day: int, length: int) -> list[Part]:
    """The rows of a table again so many days later each: by that age, what a column takes from which one of the table,
    and how many times."""
    parts = []
    for age, given in ages.items():
        for shift in dict.fromkeys((place + age) // length * length for place in range(length)):
            taken = {
                f"{column}_{place}": f"{weight} * {source}_{place + shift - age}"
                for column, (weight, source) in given.items()
                for place in range(length)
                if 0 <= place + shift - age < length
            }
            listed = ", ".join(f"{what} AS {name}" for name, what in taken.items())
            # no test where none is needed: with one on each part, DuckDB makes them on usage too, row by row
            inside = f" WHERE day <= {until_day - shift}" if shift else ""
            parts.append(Part(f"SELECT {KEYS}, day + {shift} AS day, {listed} FROM {table}{inside}", tuple(taken)))
    return parts


def running(parts: Sequence[Part], columns: Sequence[str], length: int, dialect: Dialect) -> str:
    """One row for each that there is in the parts: what it adds and, as c, what each column adds up to at its end."""
    names = [f"{column}_{place}" for column in columns for place in range(length)]
    sums = ", ".join(
        f"CAST(SUM({' + '.join(f'{column}_{place}' for place in range(length))}) OVER ({BY_DAY}) AS BIGINT) AS {column}"
        for column in columns
    )
    return f"SELECT {KEYS}, day, {', '.join(names)}, {sums} FROM ({_added(parts, names, dialect)}) g"


def _added(parts: Sequence[Part], names: Sequence[str], dialect: Dialect) -> str:
    if len(parts) == 1:
        return parts[0].rows
    if dialect == "duckdb" and len(parts) <= _JOINED:  # grouping so many columns takes it four times as long
        joined = f"({parts[0].rows}) p0"
        for number, part in enumerate(parts[1:], start=1):
            joined += f" FULL JOIN ({part.rows}) p{number} USING ({KEYS}, day)"
        given = {
            name: [f"COALESCE(p{number}.{name}, 0)" for number, part in enumerate(parts) if name in part.names]
            for name in names
        }
        listed = ", ".join(f"{' + '.join(what)} AS {name}" for name, what in given.items())
        return f"SELECT {KEYS}, day, {listed} FROM {joined}"
    rows = " UNION ALL ".join(
        f"SELECT {KEYS}, day, {', '.join(name if name in part.names else f'0 AS {name}' for name in names)}"
        f" FROM ({part.rows}) p{number}"
        for number, part in enumerate(parts)
    )
    added = ", ".join(f"CAST(SUM({name}) AS BIGINT) AS {name}" for name in names)
    return f"SELECT {KEYS}, day, {added} FROM ({rows}) u GROUP BY {KEYS}, day"


def changes(table: str, columns: Sequence[str], number: Callable[[At], str], until_day: int, length: int) -> str:
    """Rows (account_id, user_id, day, before, now) for each day on which a number changes that is worked out from what
    columns of a table of `running` rows add up to."""
    # at 0: before the row; at 1: after its first day, and so on
    sums = ", ".join(
        " - ".join([column, *(f"{column}_{place}" for place in range(at, length))]) + f" AS {column}_at{at}"
        for column in columns
        for at in range(length + 1)
    )

    def so_far(at: int) -> str:
        return f"{number(lambda column: f'{column}_at{at}')} AS v{at}"

    told = ", ".join(so_far(at) for at in range(length + 1))
    changing = " OR ".join(f"v{place} <> v{place + 1}" for place in range(length))
    values = f"SELECT {KEYS}, day, {told} FROM (SELECT {KEYS}, day, {sums} FROM {table} r) s"
    found = f"SELECT * FROM ({values}) v WHERE {changing}"
    if length == 1:
        return f"SELECT {KEYS}, day, v0 AS before, v1 AS now FROM ({found}) f WHERE day <= {until_day}"
    places = " UNION ALL ".join(f"SELECT {place} AS place" for place in range(length))
    before, now = (
        f"CASE place {' '.join(f'WHEN {place} THEN v{place + later}' for place in range(length))} END"
        for later in (0, 1)
    )
    days = (
        f"SELECT {KEYS}, day + place AS day, {before} AS before, {now} AS now FROM ({found}) f CROSS JOIN ({places}) p"
    )
    return f"SELECT {KEYS}, day, before, now FROM ({days}) d WHERE before <> now AND day <= {until_day}"
