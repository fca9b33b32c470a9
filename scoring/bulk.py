"""One verb over many handoffs: each by itself, under its own locks, and told apart afterwards."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from accounts.models import AuditEntry, StaffUser
from scoring import undo
from scoring.handoff_states import HandoffError, Refused
from scoring.models import Handoff

MOST = 100


@dataclass(slots=True)
class Result:
    """What came of it: the handoffs that it worked for, and of the others the company's name with why not."""

    done: list[int] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)
    entries: list[int] = field(default_factory=list)  # what one undo takes back


def for_each(handoff_ids: Sequence[int], verb: Callable[[int], object], *, by: StaffUser, now: dt.datetime) -> Result:
    """Call `verb(handoff_id)` for each, in the order given, at most MOST of them (else Refused).

    What one refuses does not hold up the others. `verb` acts at `now`, which is how its audit rows are found.
    """
    ids = list(dict.fromkeys(handoff_ids))
    if not ids:
        raise Refused("Select some accounts first.")
    if len(ids) > MOST:
        raise Refused(f"{MOST} accounts at a time are the most.")
    names = dict(Handoff.objects.filter(pk__in=ids).values_list("pk", "company__name"))
    result = Result()
    for pk in ids:
        try:
            verb(pk)
        except Handoff.DoesNotExist:
            result.refused.append((names.get(pk, f"Number {pk}"), "It is not there any more."))
        except HandoffError as error:
            result.refused.append((names.get(pk, f"Number {pk}"), error.message))
        else:
            result.done.append(pk)
    result.entries = undo.entries_of(result.done, by=by, at=now)
    return result


def undo_all(entry_ids: Sequence[int], *, by: StaffUser, now: dt.datetime) -> Result:
    """Take back each of these deeds that still can be."""
    ids = list(dict.fromkeys(entry_ids))
    if len(ids) > MOST:
        raise Refused(f"{MOST} accounts at a time are the most.")
    result = Result()
    for entry_id in ids:
        try:
            result.done.append(undo.undo(entry_id=entry_id, by=by, now=now).pk)
        except AuditEntry.DoesNotExist:
            result.refused.append(("", "That is not there any more."))
        except HandoffError as error:
            result.refused.append(("", error.message))
    return result
