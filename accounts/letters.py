"""E-mail to people of the customer: one per person and fact, with a way out in every one.

`write` leaves rows, in the transaction of the fact. `send_due` claims due ones under a lease, asks whose fact it is for
the words (`settings.LETTER_WORDS`), sends with nothing open but the network, and notes what came of it: at most once
noted, tried again with growing waits, given up after a day. Whoever dies over one leaves the lease to end, and it goes
out again under the same id. Who must not be contacted gets none, however long it waited.
"""

from __future__ import annotations

import datetime as dt
import html
import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import Protocol

from django.conf import settings
from django.core.signing import BadSignature, Signer
from django.db import connection, models, transaction
from django.db.models import Q
from django.urls import reverse
from django.utils.module_loading import import_string

from accounts import stewardship, workspace
from accounts.models import Letter, Membership, ProductUser, StaffUser
from accounts.team import audit, destinations, mail_turn
from accounts.team.channels import Gone, Outcome, Retry, Sent, mail
from accounts.team.deliveries import AT_ONCE, LEASE, MOST_ATTEMPTS, POISON_WAIT, Passed, backoff, one_line
from plgops.lib import access
from plgops.lib.db import lock_free_rows

logger = logging.getLogger(__name__)
TASK = "accounts.send_letters"
Status = Letter.Status
Clock = Callable[[], dt.datetime]
LEAST_WAIT = dt.timedelta(minutes=1)
_SALT = "plgops.unsubscribe"


class NoLink(Exception):
    """The link is none of ours, or damaged."""


@dataclass(frozen=True, slots=True)
class New:
    """A letter to be written: to whom, about which account, and the fact (kind:key)."""

    user_id: int
    account_id: int
    fact: str


@dataclass(frozen=True, slots=True)
class Words:
    """What a letter says. `url` is an https address."""

    subject: str
    body: str
    button: str
    url: str


class Speaks(Protocol):
    """What `settings.LETTER_WORDS` names for each kind of fact: what it says now, until when it has to wait, or None
    where it is over. Reads only; the keys are what comes after the colon."""

    def __call__(self, keys: Sequence[str], *, now: dt.datetime) -> dict[str, Words | dt.datetime | None]: ...


def write(letters: Iterable[New], *, now: dt.datetime) -> None:
    """Leave letters to be sent; who has one about the same fact keeps that one. Within a transaction."""
    rows = [
        Letter(
            public_id=destinations.new_id(),
            user_id=one.user_id,
            account_id=one.account_id,
            fact=one.fact,
            created_at=now,
            next_at=now,
        )
        for one in letters
    ]
    Letter.objects.bulk_create(rows, ignore_conflicts=True, batch_size=500)


# --- sending ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Ready:
    """A claimed letter with everything that its try needs: the threads know no database."""

    letter: Letter
    address: str
    words: Words
    leave: str  # where the person says that they want no more
    sender: str  # the workspace's name


def send_due(*, clock: Clock, limit: int = AT_ONCE, lease: dt.timedelta = LEASE) -> Passed:
    """Claim letters that are due, send them, and note what came of each. Refused within a transaction; nothing while
    another worker of this machine talks to the mail server.

    No more at once than are tried at once: talking to a mail server has a dozen steps that may all be slow, and a
    second round of that could outlast the lease.
    """
    if connection.in_atomic_block:
        raise RuntimeError("Letters are never sent inside a transaction.")
    with mail_turn.taken() as is_ours:
        return _send_due(clock=clock, limit=limit, lease=lease) if is_ours else Passed()


def _send_due(*, clock: Clock, limit: int, lease: dt.timedelta) -> Passed:
    claimed = _claim(now=clock(), limit=limit, lease=lease)
    ready = _ready(claimed, now=clock())
    sent = 0
    if ready:
        with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:  # only the network is in the threads
            tries = {pool.submit(_try, one): one.letter for one in ready}
            for tried in as_completed(tries):  # noted as they come: what is known must not wait for who is slow
                try:
                    sent += _note(tries[tried], tried.result(), now=clock())
                except Exception:  # its lease ends and it is tried again; the others are noted
                    logger.exception("%s could not be noted", tries[tried].public_id)
    return Passed(claimed=len(claimed), sent=sent)


def _claim(*, now: dt.datetime, limit: int, lease: dt.timedelta) -> list[Letter]:
    """Letters that are this worker's until the lease ends. What was claimed and never noted counts as tried."""
    with transaction.atomic():
        due = Letter.objects.filter(status=Status.WAITING, next_at__lte=now)
        claimed = list(lock_free_rows(due.select_related("user")).order_by("next_at", "id")[:limit])
        for row in claimed:
            row.attempts += 1
            row.next_at = now + lease
        Letter.objects.bulk_update(claimed, ["attempts", "next_at"])
    return claimed


def _ready(claimed: Sequence[Letter], *, now: dt.datetime) -> list[_Ready]:
    """Those that go out now; the others are left out, or wait."""
    by_kind: dict[str, list[Letter]] = defaultdict(list)
    here, refused = _members(claimed), _refused(claimed)
    for letter in claimed:
        if why := _barred(letter, here, refused):
            _ours(letter).update(status=Status.SKIPPED, next_at=None, why=why)
        elif letter.attempts > MOST_ATTEMPTS:  # it was claimed that often and killed every worker
            _ours(letter).update(status=Status.FAILED, next_at=None, why="Nobody came back from sending it.")
        else:
            by_kind[letter.fact.partition(":")[0]].append(letter)
    ready: list[_Ready] = []
    for kind, letters in by_kind.items():
        said = _said(kind, sorted({letter.fact.partition(":")[2] for letter in letters}), now=now)
        for letter in letters:
            key = letter.fact.partition(":")[2]
            words = said.get(key)
            if key not in said:
                _ours(letter).update(next_at=now + POISON_WAIT, why="It could not be worded.")
            elif words is None:
                _ours(letter).update(status=Status.SKIPPED, next_at=None, why="It was over by then.")
            elif isinstance(words, dt.datetime):  # no try at all
                later, tried = max(words, now + LEAST_WAIT), letter.attempts - 1
                _ours(letter).update(next_at=later, attempts=tried, why="It has to wait.")
            else:
                leave = unsubscribe_url(letter.user_id)
                ready.append(_Ready(letter, letter.user.email, words, leave, workspace.name()))
    return ready


def _said(kind: str, keys: Sequence[str], *, now: dt.datetime) -> dict[str, Words | dt.datetime | None]:
    """What these facts say; one that cannot be worded is missing, and keeps no other waiting."""
    try:
        speak: Speaks = import_string(settings.LETTER_WORDS[kind])
        return speak(keys, now=now)
    except Exception:
        if len(keys) == 1:
            logger.exception("%s:%s cannot be worded", kind, keys[0])
            return {}
    return {key: words for one in keys for key, words in _said(kind, [one], now=now).items()}


def _members(claimed: Sequence[Letter]) -> set[tuple[int, int]]:
    """Which of these people are in which account today."""
    rows = Membership.objects.filter(user__in=[letter.user_id for letter in claimed], valid_to=None)
    return set(rows.values_list("user_id", "account_id"))


def _refused(claimed: Sequence[Letter]) -> set[str]:
    """Those of these addresses whose owner wants no more, whichever of their ids in the product they said it with."""
    no_more = Q(contact_refused_at__isnull=False) | Q(do_not_contact=True)
    addresses = {letter.user.email for letter in claimed}
    return set(ProductUser.objects.filter(no_more, email__in=addresses).values_list("email", flat=True))


def _barred(letter: Letter, here: set[tuple[int, int]], refused: set[str]) -> str:
    if letter.user.merged_into_id is not None:
        return "The person was merged into another."
    if not letter.user.email:
        return "No e-mail address."
    if letter.user.is_left_alone or letter.user.email in refused:
        return "They want no such e-mail."
    return "" if (letter.user_id, letter.account_id) in here else "They are in the account no more."


def _try(one: _Ready) -> Outcome:
    try:
        return mail(
            one.address,
            subject=one.words.subject,
            text=text_of(one.words, leave=one.leave, sender=one.sender),
            html=html_of(one.words, leave=one.leave, sender=one.sender),
            message_id=one.letter.public_id,
            headers={"List-Unsubscribe": f"<{one.leave}>", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"},
        )
    except Exception as error:  # an address is what somebody's product says: some make the parser of e-mail fall over
        logger.error("sending %s failed: %s", one.letter.public_id, type(error).__name__)
        return Retry(f"It could not be sent ({type(error).__name__}).")


def _note(letter: Letter, outcome: Outcome, *, now: dt.datetime) -> int:
    """Write down what came of a try, if it is still ours; 1 for a letter that went out.

    One that went out is noted whoever has it by now: it is there, and must not go out again.
    """
    if isinstance(outcome, Sent):
        unsaid = Letter.objects.filter(pk=letter.pk).exclude(status=Status.SENT)
        return unsaid.update(status=Status.SENT, next_at=None, sent_at=now, why="")
    why = one_line(outcome.why)[:300]
    if isinstance(outcome, Gone) or letter.attempts >= MOST_ATTEMPTS:
        _ours(letter).update(status=Status.FAILED, next_at=None, why=why)
    else:
        wait = max(backoff(letter.attempts), outcome.after or dt.timedelta(0))
        _ours(letter).update(next_at=now + wait, why=why)
    return 0


def _ours(letter: Letter) -> models.QuerySet[Letter]:
    return Letter.objects.filter(pk=letter.pk, status=Status.WAITING, attempts=letter.attempts)


def replay(*, letter_ids: Sequence[int], by: StaffUser, now: dt.datetime) -> int:
    """Send what was given up once more, under the ids it had; how many."""
    access.require(by, "alerts.replay")
    done = 0
    with transaction.atomic():
        for letter in lock_free_rows(Letter.objects.filter(pk__in=letter_ids, status=Status.FAILED)).order_by("id"):
            letter.status, letter.next_at, letter.attempts = Status.WAITING, now, 0
            letter.save(update_fields=["status", "next_at", "attempts"])
            audit.record(action="letter.replayed", obj=letter, by=by, now=now, account_id=letter.account_id)
            done += 1
    return done


# --- what it looks like -------------------------------------------------------------------------------------------


def text_of(words: Words, *, leave: str, sender: str) -> str:
    """The plain text of a letter."""
    link = f"{words.button}: {words.url}\n\n" if words.url else ""
    return f"{words.body.strip()}\n\n{link}-- \nYou use {sender}. No more such e-mails: {leave}\n"


def html_of(words: Words, *, leave: str, sender: str) -> str:
    """The same as simple HTML: no images, nothing loaded, nothing that says it was opened."""
    paragraphs = "".join(f"<p>{_h(one)}</p>\n" for one in words.body.strip().splitlines() if one.strip())
    button = (
        f"<p style='margin:24px 0'><a href='{_h(words.url)}' style='background:#4a4fd4;color:#fff;padding:10px 18px;"
        f"border-radius:8px;text-decoration:none;display:inline-block'>{_h(words.button)}</a></p>\n"
        if words.url
        else ""
    )
    return (
        f"<!doctype html><html lang='en'><head><meta charset='utf-8'><title>{_h(words.subject)}</title></head>"
        "<body style='font-family:sans-serif;font-size:15px;line-height:1.5;max-width:560px;color:#1d1f26'>\n"
        f"{paragraphs}{button}<p style='color:#555;font-size:13px'>You use {_h(sender)}. "
        f"<a href='{_h(leave)}' style='color:#555'>No more such e-mails</a></p>\n</body></html>"
    )


def _h(text: str) -> str:
    return html.escape(text, quote=True)


# --- the way out --------------------------------------------------------------------------------------------------


def unsubscribe_url(user_id: int) -> str:
    """Where a person says that they want no more: good for ever, and the same in every letter of theirs."""
    return settings.SITE_URL + reverse("unsubscribe", args=[Signer(salt=_SALT).sign(str(user_id))])


def whose_link(token: str) -> int:
    """The id of the person whose link this is. Raises NoLink."""
    try:
        return int(Signer(salt=_SALT).unsign(token))
    except (BadSignature, ValueError) as error:
        raise NoLink("This link is not complete.") from error


def unsubscribe(token: str, *, now: dt.datetime) -> bool:
    """Leave the person out of all outreach from now on, as if staff had said so, also where they turned out to be
    somebody who was known by another id; True the first time. Raises NoLink, ProductUser.DoesNotExist."""
    return stewardship.set_contact_refused(user_id=whose_link(token), refused=True, by=None, now=now)
