"""What plays say to evaluation: whether a qualification may open a handoff, and what else it sets going.

Evaluation reads a Desk once per batch: the live plays, which hold-outs its companies are in, and what was decided
about its episodes before. Within the transaction that opens an episode, `note_opened` leaves a row for every play that
has something to do about it (scoring/firing.py decides those), and `handoff_wanted` is asked before a handoff opens.
A play acts on what opens while it is live: a row is made with its episode, and decided once.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

from django.db.models import Exists, F, OuterRef

from accounts import due
from accounts.models import Account, Membership
from accounts.workspace import zone
from scoring import addressees, audience, holdout, muting
from scoring.models import Handoff, Play, PlayArm, PlayRun, Qualification

Action = Play.Action
Status = PlayRun.Status
AT_ONCE = dt.timedelta(hours=24)  # what fires within this time of each other faces a company at once


@dataclass(slots=True)
class Fired:
    """A play that fired for a company lately."""

    play: Play
    at: dt.datetime


@dataclass(slots=True)
class Desk:
    """The live plays by definition, the highest priority first, and what is known of the companies in question."""

    by_definition: dict[int, list[Play]]
    arms: list[PlayArm] = field(default_factory=list)
    fired: dict[int, list[Fired]] = field(default_factory=dict)  # by company
    decided: frozenset[int | None] = frozenset()  # episodes about which a sales play has been decided

    def sales(self, definition_id: int) -> list[Play]:
        """The plays that hand over, the highest priority first."""
        return [p for p in self.by_definition.get(definition_id, ()) if p.action == Action.SALES_HANDOFF]

    def may_ask(self, episode: Qualification) -> bool:
        """Whether a play could hand this open episode over, as far as that is known without looking at the account."""
        plays = self.sales(episode.definition_id)
        if not plays or (episode.handoff_id is None and episode.pk in self.decided):
            return False
        return any(_is_meant(play, episode) for play in plays)


def is_on(play: Play, now: dt.datetime) -> bool:
    """Whether the play acts now: live, and between its dates, which are days of the workspace."""
    today = now.astimezone(zone()).date()
    return (
        play.status == Play.Status.LIVE
        and (play.starts_on is None or play.starts_on <= today)
        and (play.ends_on is None or today <= play.ends_on)
    )


def desk(*, now: dt.datetime) -> Desk:
    """The plays that act now on who qualifies; one query."""
    rows = Play.objects.filter(status=Play.Status.LIVE, trigger=Play.Trigger.QUALIFIES)
    found: dict[int, list[Play]] = {}
    for play in rows.order_by("-priority", "pk"):
        if is_on(play, now):
            found.setdefault(play.definition_id, []).append(play)
    return Desk(found)


def look_up(found: Desk, *, company_ids: Collection[int], episode_ids: Collection[int], now: dt.datetime) -> None:
    """Read what the desk needs to answer about these: at most three queries; none for new episodes alone while plays
    only hand over, hold nobody out and never rest."""
    everything = [play for plays in found.by_definition.values() for play in plays]
    if not any(play.action == Action.SALES_HANDOFF for play in everything):
        return
    if episode_ids:
        runs = PlayRun.objects.filter(qualification_id__in=episode_ids, play__action=Action.SALES_HANDOFF)
        found.decided = frozenset(runs.values_list("qualification_id", flat=True))
    if any(play.holdout_percent for play in everything):
        found.arms = list(PlayArm.objects.filter(company_id__in=company_ids, play__in=everything))
    rest = max(play.cooldown_days for play in everything)
    if rest or any(play.action != Action.SALES_HANDOFF for play in everything):
        found.fired = lately(company_ids, rest=rest, now=now)


def lately(company_ids: Collection[int], *, rest: int, now: dt.datetime) -> dict[int, list[Fired]]:
    """By company: what fired within `rest` days, and within AT_ONCE; one query."""
    since = now - max(AT_ONCE, dt.timedelta(days=rest))
    found: dict[int, list[Fired]] = {}
    rows = PlayRun.objects.filter(company_id__in=company_ids, status=Status.FIRED, decided_at__gte=since)
    for run in rows.select_related("play").order_by("decided_at", "pk"):
        if run.decided_at is not None:
            found.setdefault(run.company_id, []).append(Fired(run.play, run.decided_at))
    return found


def note_opened(found: Desk, episodes: Iterable[Qualification], *, now: dt.datetime) -> None:
    """Leave a row for each play that has something to do about these new episodes, in one statement at most.

    To be called in the transaction that opens them. Their accounts come with them.
    """
    rows = [
        PlayRun(
            play=play,
            account_id=episode.account_id,
            company_id=episode.account.company_id,
            qualification=episode,
            created_at=now,
            due_at=now,
        )
        for episode in episodes
        for play in found.by_definition.get(episode.definition_id, ())
        if play.action != Action.SALES_HANDOFF
    ]
    if rows:
        PlayRun.objects.bulk_create(rows, batch_size=500, ignore_conflicts=True)


def look_again_at(company_id: int, *, now: dt.datetime) -> None:
    """Nobody works this company any more: what waits about it is looked at now."""
    PlayRun.objects.filter(company_id=company_id, due_at__gt=now, status=Status.MUTED).update(due_at=now)


def look_again(episode_ids: Collection[int], *, now: dt.datetime) -> None:
    """These episodes were released: whatever waits about them is due now."""
    PlayRun.objects.filter(qualification_id__in=episode_ids, due_at__gt=now).update(due_at=now)


def resume(handoff: Handoff, *, now: dt.datetime) -> None:
    """The company is self-serve again: prompts and nudges that gave way to this handoff are decided once more.

    Under the company's lock. Not of plays that were started again since: those make up for nothing.
    """
    gave_way = PlayRun.objects.filter(
        company_id=handoff.company_id,
        status=Status.OUTRANKED,
        winner__action=Action.SALES_HANDOFF,
        decided_at__gte=handoff.opened_at - AT_ONCE,
        qualification__closed_at=None,
        qualification__isnull=False,
        play__action__in=Play.OUTREACH,
        play__status=Play.Status.LIVE,
        created_at__gte=F("play__live_since"),
    )
    PlayRun.objects.filter(pk__in=list(gave_way.values_list("pk", flat=True))).update(
        status=Status.DUE, reason="", winner=None, due_at=now, decided_at=None
    )


def give_back(runs: Collection[PlayRun], *, now: dt.datetime) -> None:
    """These will not face their companies now, after all: sales plays that gave way to them are asked again, by the
    next evaluation. One query where none did."""
    facing = [run for run in runs if faces(run.play)]
    if not facing:
        return
    gave_way = PlayRun.objects.filter(
        company_id__in={run.company_id for run in facing},
        winner__in={run.play_id for run in facing},
        status=Status.OUTRANKED,
        play__action=Action.SALES_HANDOFF,
        qualification__closed_at=None,
        decided_at__gte=min(run.created_at for run in facing),
    )
    pairs = {(run.company_id, run.play_id) for run in facing}
    asked = [run for run in gave_way if (run.company_id, run.winner_id or 0) in pairs]
    if asked:
        # the account's row first: evaluation, which holds it, never waits for what is deleted here
        due.mark_changed({run.account_id for run in asked}, now=now, consumers=["evaluation"])
        episodes = [run.qualification_id for run in asked if run.qualification_id is not None]
        decided = PlayRun.objects.filter(qualification_id__in=episodes, play__action=Action.SALES_HANDOFF)
        decided.exclude(status=Status.FIRED).delete()


def left_alone(account_ids: Collection[int]) -> frozenset[int]:
    """Those of these accounts that have people, none of whom may be contacted; one query."""
    members = Membership.objects.filter(account_id=OuterRef("pk"), valid_to=None)
    may = members.filter(user__do_not_contact=False, user__contact_refused_at=None)
    rows = Account.objects.filter(Exists(members), ~Exists(may), pk__in=account_ids)
    return frozenset(rows.values_list("pk", flat=True))


def handoff_wanted(
    found: Desk, episode: Qualification, *, account: Account, company: Account, now: dt.datetime
) -> Play | None:
    """The play by which this episode is handed over now, if any; what speaks against the others is written down.

    To be called in the transaction of the verdict, under the company's lock, once the episode may be handed over as
    far as its rule goes. The caller says `handed_over` when it was.
    """
    plays = [play for play in found.sales(episode.definition_id) if _is_meant(play, episode)]
    if not plays or (episode.pk in found.decided and episode.handoff_id is None):
        return None
    own, firms = facts(account), facts(company)
    refused: list[PlayRun] = []
    winner: Play | None = None
    for play in plays:
        status, reason, by = _against(found, play, winner, episode, account, company, own, firms, now=now)
        if not status:
            winner = play
        else:
            refused.append(decided(play, episode, company, status, reason, now=now, by=by))
    if refused:
        PlayRun.objects.bulk_create(refused, ignore_conflicts=True)
    return winner


def handed_over(play: Play, episode: Qualification, company: Account, *, now: dt.datetime) -> None:
    """Write that the play fired: the episode opened a handoff or joined one."""
    run = decided(play, episode, company, Status.FIRED, "Handed over to sales.", now=now)
    PlayRun.objects.bulk_create([run], ignore_conflicts=True)


def decided(
    play: Play,
    episode: Qualification,
    company: Account,
    status: str,
    reason: str,
    *,
    now: dt.datetime,
    by: Play | None = None,
) -> PlayRun:
    """A run that is decided as it is made; not saved."""
    return PlayRun(
        play=play,
        account_id=episode.account_id,
        company=company,
        qualification=episode,
        status=status,
        reason=reason[:300],
        winner=by,
        created_at=now,
        decided_at=now,
        window_ends_at=now + dt.timedelta(days=play.convert_days) if status == Status.FIRED else None,
    )


def facts(account: Account) -> audience.Facts:
    """What an audience may ask of the account."""
    own = {name: getattr(account, name) for name in audience.COLUMNS}
    return audience.Facts({**account.traits, **own})


def rests_until(play: Play, fired: Sequence[Fired], *, now: dt.datetime) -> dt.datetime | None:
    """Until when the play leaves a company alone, for which these fired; None: it may fire."""
    last = max((one.at for one in fired if one.play.pk == play.pk), default=None)
    if last is None or not play.cooldown_days:
        return None
    until = last + dt.timedelta(days=play.cooldown_days)
    return until if until > now else None


def outranking(play: Play, fired: Iterable[Fired], *, with_sales: bool = True, now: dt.datetime) -> Play | None:
    """What faces the company already and goes before this play; None for what faces nobody, or is no promotion.

    `with_sales`: sales has the company still; a handoff that has ended faces nobody.
    """
    if not faces(play):
        return None
    others = [
        one.play
        for one in fired
        if one.at > now - AT_ONCE
        and one.play.pk != play.pk
        and faces(one.play)
        and one.play.action != play.action
        and (with_sales or one.play.action != Action.SALES_HANDOFF)
    ]
    return next((other for other in others if _rank(other) > _rank(play)), None)


def faces(play: Play) -> bool:
    """Whether people of the customer meet it, and one at a time."""
    return play.promotional and play.action in Play.FACING


def _rank(play: Play) -> tuple[int, int]:
    return play.priority, -play.pk


def _is_meant(play: Play, episode: Qualification) -> bool:
    """What opened before the play was live is not its business, unless somebody released it since."""
    return play.live_since is None or (episode.released_at or episode.opened_at) >= play.live_since


def _against(
    found: Desk,
    play: Play,
    winner: Play | None,
    episode: Qualification,
    account: Account,
    company: Account,
    own: audience.Facts,
    firms: audience.Facts,
    *,
    now: dt.datetime,
) -> tuple[str, str, Play | None]:
    """Why this play does not hand over: status, words, who outranks it; ("", "", None) if it does."""
    fired = found.fired.get(company.pk, [])
    if account.is_internal or company.is_internal:
        return Status.INTERNAL, "An internal or test account.", None
    if why := audience.outside(audience.parse(play.audience), own, firms):
        return Status.OUTSIDE, why, None
    if winner is not None:
        return Status.OUTRANKED, f"{winner.name} hands it over.", winner
    if until := rests_until(play, fired, now=now):
        return Status.COOLING, f"Fired for this company before; rests until {day_words(until)}.", None
    if play.holdout_percent or any(arm.play_id == play.pk and arm.company_id == company.pk for arm in found.arms):
        arms = holdout.arms([(play, company.pk)], found.arms, now=now)
        if arms[play.pk, company.pk] == holdout.Arm.HELD_OUT:
            return Status.HELD_OUT, "Drawn into the hold-out: stays self-serve.", None
    other = _goes_first(found, play, episode, company, own, firms, now=now) or outranking(play, fired, now=now)
    if other is not None:
        return Status.OUTRANKED, f"{other.name} goes first: priority {other.priority}, this {play.priority}.", other
    return "", "", None


def _goes_first(
    found: Desk,
    play: Play,
    episode: Qualification,
    company: Account,
    own: audience.Facts,
    firms: audience.Facts,
    *,
    now: dt.datetime,
) -> Play | None:
    """A play with a higher priority that is going to face the company because of this episode: it has a run that is
    due, and nothing that can be known keeps it. What would only wait, or reach nobody, takes nothing from sales."""
    higher = [
        other
        for other in found.by_definition.get(play.definition_id, ())
        if other.action != play.action and faces(other) and _rank(other) > _rank(play)
    ]
    if not higher:
        return None
    runs = PlayRun.objects.filter(qualification=episode, play__in=higher, status=Status.DUE)
    due = set(runs.values_list("play_id", flat=True))
    if not due or left_alone([episode.account_id]):
        return None
    is_muted = company.pk in muting.muted([company.pk], now=now)
    known = {(arm.play_id, arm.company_id): arm.arm for arm in found.arms}
    for other in higher:
        if other.pk not in due or (is_muted and other.action in Play.OUTREACH):
            continue
        if other.action == Play.Action.EMAIL_NUDGE and not addressees.has_any(episode.account_id, now=now):
            continue
        if audience.outside(audience.parse(other.audience), own, firms):
            continue
        drawn = holdout.drawn(salt=other.salt, company_id=company.pk, percent=other.holdout_percent)
        treated = known.get((other.pk, company.pk), drawn) == holdout.Arm.TREATED
        if treated and rests_until(other, found.fired.get(company.pk, []), now=now) is None:
            return other
    return None


def day_words(at: dt.datetime) -> str:
    """The day of a moment in the workspace's zone, in words."""
    local = at.astimezone(zone())
    return f"{local.day} {local:%b %Y}"
