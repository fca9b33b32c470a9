"""Hold-outs: which companies a play leaves alone so that its effect can be measured, and what was measured.

A company's arm follows from the play's salt and the company's id, and is stored when it is drawn: a later change of
the percentage moves nobody. Compared are companies drawn under the percentage that is in force, whose days to convert
are over, who are still a company of their own and were not merged since: of all that were drawn into an arm, whatever
happened to them afterwards (muted, outranked, by intention to treat).
"""

from __future__ import annotations

import datetime as dt
import hashlib
import math
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from django.db.models import Count, Exists, OuterRef, Q

from accounts.models import Account, AccountMerge, Stage, StageEntry
from scoring.models import Play, PlayArm
from scoring.stats import Share, share

Arm = PlayArm.Arm
LEAST_EACH = 100  # companies in each arm whose days are over, and…
LEAST_CONVERSIONS = 10  # …conversions in both together, before a lift is told


def drawn(*, salt: str, company_id: int, percent: int) -> str:
    """The arm of a company: held out for `percent` of all companies, the same ones whenever it is asked."""
    digest = hashlib.sha256(f"{salt}:{company_id}".encode()).digest()
    return Arm.HELD_OUT if int.from_bytes(digest[:8], "big") % 10_000 < percent * 100 else Arm.TREATED


def arms(
    pairs: Iterable[tuple[Play, int]], known: Collection[PlayArm], *, now: dt.datetime
) -> dict[tuple[int, int], str]:
    """The arm of each (play, company), by their ids. New ones are stored in one statement; `known` is what is stored.

    Of two who draw at once, under two percentages perhaps, the first one's is stored, and both go by it.
    """
    found = {(arm.play_id, arm.company_id): arm.arm for arm in known}
    new: dict[tuple[int, int], PlayArm] = {}
    for play, company_id in pairs:
        key = (play.pk, company_id)
        if key not in found and key not in new:
            new[key] = PlayArm(
                play_id=play.pk,
                company_id=company_id,
                arm=drawn(salt=play.salt, company_id=company_id, percent=play.holdout_percent),
                percent=play.holdout_percent,
                drawn_at=now,
                window_ends_at=now + dt.timedelta(days=play.convert_days),
            )
    if new:
        PlayArm.objects.bulk_create([new[key] for key in sorted(new)], batch_size=500, ignore_conflicts=True)
        plays, companies = {play for play, _ in new}, {company for _, company in new}
        stored = PlayArm.objects.filter(play__in=plays, company__in=companies)
        found |= {(arm.play_id, arm.company_id): arm.arm for arm in stored}
    return found


@dataclass(frozen=True, slots=True)
class Difference:
    """How much more often the treated convert than the held out, with the 95% interval."""

    value: float
    low: float
    high: float


def difference(treated: Share, held_out: Share) -> Difference | None:
    """The difference of two independent proportions with Newcombe's hybrid score interval (1998, his method 10), made
    of the two Wilson intervals; None where either is of nothing."""
    if treated.value is None or treated.low is None or treated.high is None:
        return None
    if held_out.value is None or held_out.low is None or held_out.high is None:
        return None
    value = treated.value - held_out.value
    below = math.hypot(treated.value - treated.low, held_out.high - held_out.value)
    above = math.hypot(treated.high - treated.value, held_out.value - held_out.low)
    return Difference(value, max(-1.0, value - below), min(1.0, value + above))


@dataclass(frozen=True, slots=True)
class Lift:
    """What the hold-out of a play says. `difference` is None before there is enough; `lacking` says what is missing.

    `open` companies still have days to convert, `left` are out of the comparison (merged, internal, part of another).
    """

    percent: int
    treated: Share
    held_out: Share
    difference: Difference | None
    lacking: str
    open: int
    left: int

    @property
    def is_clear(self) -> bool:
        """Whether the interval leaves out no difference at all."""
        return self.difference is not None and not self.difference.low <= 0 <= self.difference.high


def paid(start: str, end: str) -> Exists:
    """Whether the row's company, or an account of it, paid or paid more in `[start, end)`, two columns of the row."""
    # two conditions over indexes; one with an OR over a join would look at every payment for every row
    company = Q(pk=OuterRef(OuterRef("company_id"))) | Q(parent_id=OuterRef(OuterRef("company_id")))
    mine = Account.objects.filter(company, is_internal=False).values("pk")
    rows = StageEntry.objects.filter(account__in=mine, stage__in=(Stage.PAID, Stage.EXPANDED))
    return Exists(rows.filter(at__gte=OuterRef(start), at__lt=OuterRef(end)))


def lift(play: Play, *, now: dt.datetime) -> Lift:
    """What the play's hold-out says by now: one query."""
    # a merge since the draw, or one that was undone since: for some of its days it was another company
    merged = AccountMerge.objects.filter(
        Q(winner_id=OuterRef("company_id")) | Q(loser_id=OuterRef("company_id")),
        Q(merged_at__gte=OuterRef("drawn_at")) | Q(undone_at__gte=OuterRef("drawn_at")),
    )
    rows = PlayArm.objects.filter(play=play, percent=play.holdout_percent).annotate(
        stays=Q(company__merged_into=None, company__parent=None, company__is_internal=False) & ~Exists(merged),
        over=Q(window_ends_at__lte=now),
        converts=paid("drawn_at", "window_ends_at"),
    )
    counted: dict[tuple[str, bool], list[int]] = {(arm, is_hit): [0] for arm in Arm.values for is_hit in (True, False)}
    still, left = 0, 0
    for arm, stays, over, converts, number in (
        rows.values("arm", "stays", "over", "converts")
        .annotate(number=Count("pk"))
        .values_list("arm", "stays", "over", "converts", "number")
        .order_by("arm")
    ):
        if not stays:
            left += number
        elif not over:
            still += number
        else:
            counted[arm, bool(converts)][0] += number
    treated, held_out = (
        share(counted[arm, True][0], counted[arm, True][0] + counted[arm, False][0])
        for arm in (Arm.TREATED, Arm.HELD_OUT)
    )
    lacking = _lacking(play.holdout_percent, treated, held_out)
    return Lift(
        percent=play.holdout_percent,
        treated=treated,
        held_out=held_out,
        difference=None if lacking else difference(treated, held_out),
        lacking=lacking,
        open=still,
        left=left,
    )


def _lacking(percent: int, treated: Share, held_out: Share) -> str:
    if not percent:
        return "Nobody is held out, so there is nothing to compare with."
    for arm, name in ((treated, "treated"), (held_out, "held out")):
        if arm.of < LEAST_EACH:
            return f"{arm.of} of the {LEAST_EACH} {name} companies that it takes have had their days to convert."
    hits = treated.hits + held_out.hits
    if hits < LEAST_CONVERSIONS:
        return f"{hits} of the {LEAST_CONVERSIONS} conversions that it takes."
    return ""
