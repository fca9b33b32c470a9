"""Which of our fields goes into which property there, and what to write when the two sides differ. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any

from scoring.crm.provider import Property

OURS, THEIRS, ASK = "ours", "theirs", "ask"
WINS = {
    OURS: "plgops: what the CRM says is replaced",
    THEIRS: "the CRM: written only where it is empty there",
    ASK: "ask: a conflict where somebody changed it there",
}
KEY = "plgops_account"  # our key of a company there; its values are unique
OWNER = "owner"
LONGEST = 2_000  # characters of an explanation
_NAME = re.compile(r"^[a-z][a-z0-9_]{0,99}$")


class BadMapping(ValueError):
    """A mapping that cannot be; the message is for who wrote it."""


@dataclass(frozen=True, slots=True)
class Field:
    """Something of ours that can be told."""

    name: str
    label: str
    wins: str = OURS
    kind: str = "text"  # number, long_text


FIELDS = (
    Field("name", "Account name", THEIRS),
    Field("domain", "Domain", THEIRS),
    Field("score", "Score", kind="number"),
    Field("why", "Explanation", kind="long_text"),
    Field("definitions", "Qualifies for"),
    Field(OWNER, "Owner", ASK),
    Field("stage", "Stage"),
    Field("handoff", "State in the inbox"),
    Field("plan", "Plan"),
    Field("mrr", "MRR", kind="number"),
    Field("page", "Page in plgops"),
)
BY_NAME = {one.name: one for one in FIELDS}


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the mapping."""

    field: str
    into: str  # the property there
    wins: str
    on: bool = True

    @property
    def label(self) -> str:
        return BY_NAME[self.field].label


@dataclass(frozen=True, slots=True)
class Clash:
    """Both sides say something, and neither may win by itself."""

    field: str
    property: str
    ours: str
    theirs: str


@dataclass(slots=True)
class Plan:
    """What is to be written into one company there, and what is to be asked first."""

    send: dict[str, str] = field(default_factory=dict)
    clashes: list[Clash] = field(default_factory=list)
    take: str = ""  # the CRM's owner, who becomes ours


def standard(own_names: Mapping[str, str]) -> list[Line]:
    """The mapping that a new connection begins with; `own_names`: what the CRM itself calls some of the fields."""
    return [Line(one.name, own_names.get(one.name, f"plgops_{one.name}"), one.wins) for one in FIELDS]


def read(stored: Sequence[Mapping[str, Any]]) -> list[Line]:
    """A stored mapping in the order of FIELDS; a field that a later release added is in it, switched off."""
    known = {str(one["field"]): one for one in stored}
    found = []
    for one in FIELDS:
        told = known.get(one.name)
        if told is None:
            found.append(Line(one.name, f"plgops_{one.name}", one.wins, on=False))
        else:
            found.append(Line(one.name, str(told["property"]), str(told["wins"]), bool(told["on"])))
    return found


def stored(lines: Sequence[Line]) -> list[dict[str, Any]]:
    """The mapping as the connection keeps it. Raises BadMapping."""
    taken: dict[str, str] = {KEY: "our key"}
    for line in lines:
        if line.field not in BY_NAME or line.wins not in WINS:
            raise BadMapping(f"There is no field {line.field}, or no way {line.wins}.")
        if not _NAME.match(line.into):
            raise BadMapping(
                f"{line.label}: a property's internal name is small letters, digits and _, beginning with a letter."
            )
        if line.on and line.into in taken:
            raise BadMapping(f"{line.label} and {taken[line.into]} cannot both go into {line.into}.")
        if line.on:
            taken[line.into] = line.label
    return [{"field": one.field, "property": one.into, "wins": one.wins, "on": one.on} for one in lines]


def properties(lines: Sequence[Line]) -> list[Property]:
    """What has to exist in the CRM for this mapping: our own properties, the key first."""
    ours = [
        Property(line.into, f"plgops: {line.label}", BY_NAME[line.field].kind)
        for line in lines
        if line.on and line.into.startswith("plgops_")
    ]
    return [Property(KEY, "plgops: account", is_unique=True), *ours]


def same(one: str, other: str) -> bool:
    """Whether two texts say the same: a CRM tells 1175.00 as 1175."""
    if one.strip() == other.strip():
        return True
    try:
        return Decimal(one) == Decimal(other)
    except InvalidOperation:
        return False


def is_told(
    ours: Mapping[str, str | None],
    seen: Mapping[str, str],
    held: Mapping[str, Sequence[str]],
    lines: Sequence[Line],
) -> bool:
    """Whether the CRM says all of this already, as far as we know: then nobody needs to be asked."""
    for line in lines:
        mine = ours.get(line.field)
        if not line.on or mine is None or same(mine, seen.get(line.into, "")):
            continue
        if line.field == OWNER and not mine:
            continue
        if line.wins == THEIRS and seen.get(line.into):
            continue
        if list(held.get(line.field, ())) != [mine, seen.get(line.into, "")]:
            return False
    return True


def plan(
    ours: Mapping[str, str | None],
    theirs: Mapping[str, str],
    seen: Mapping[str, str],
    held: Mapping[str, Sequence[str]],
    lines: Sequence[Line],
) -> Plan:
    """What to write into a company that says `theirs`.

    `seen` is what stood there when we last wrote or looked: what differs from it was changed there. `held`: by field,
    our value and theirs of which somebody decided that theirs stands. A field that is None is not said at all. An
    owner is taken over where the CRM has the say, or nobody is the owner here and it is news; one of theirs is never
    taken away.
    """
    made = Plan()
    for line in lines:
        mine, their = ours.get(line.field), theirs.get(line.into, "")
        if not line.on or same(mine or "", their):
            continue
        is_news = not same(their, seen.get(line.into, ""))  # else whoever gave it up here would have it again
        if line.field == OWNER and their and (line.wins == THEIRS or line.wins == ASK and mine == "" and is_news):
            made.take = their
        if mine is None or line.field == OWNER and not mine or list(held.get(line.field, ())) == [mine, their]:
            continue
        unchanged = line.wins == ASK and same(their, seen.get(line.into, ""))
        if not their or line.wins == OURS or unchanged:
            made.send[line.into] = mine
        elif line.wins == ASK:
            made.clashes.append(Clash(line.field, line.into, mine, their))
    return made
