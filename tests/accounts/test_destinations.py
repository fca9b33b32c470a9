"""Destinations: who may add them, what is kept secret, and what is refused when it is typed."""

import pytest

from accounts.models import AuditEntry, Destination, OutgoingMessage
from accounts.team import destinations, sealed
from accounts.team.destinations import NotAllowed, Refused
from tests.conftest import NOW

pytestmark = pytest.mark.django_db
Channel = Destination.Channel
HOOK = "https://hooks.example.com/services/T0001/B0001/secretpart"


def add(by, *, owner=None, channel=Channel.SLACK, name="#sales", address=HOOK):
    return destinations.add(owner=owner, channel=channel, name=name, address=address, by=by, now=NOW)


def test_an_address_is_sealed_and_never_shown(manager):
    made, secret = add(manager)
    row = Destination.objects.values().get(pk=made.pk)
    assert "secretpart" not in str(row)
    assert made.shown == "hooks.example.com/…"
    assert secret == ""
    assert sealed.unseal(made.sealed) == {"url": HOOK}
    assert "secretpart" not in str(list(AuditEntry.objects.values()))


def test_a_secret_is_shown_once_and_can_be_replaced(manager):
    made, secret = add(manager, channel=Channel.SIGNED_WEBHOOK)
    assert secret.startswith("whsec_")
    assert secret not in str(Destination.objects.values().get())
    changed, other = destinations.change(
        destination_id=made.pk, name="CRM", address="", by=manager, now=NOW, new_secret=True
    )
    assert other not in ("", secret)
    until = (NOW + destinations.FORMER_SIGNS).isoformat()
    both = {"secret": other, "former": secret, "former_until": until}
    assert sealed.unseal(changed.sealed) == {"url": HOOK, **both}
    moved, kept = destinations.change(
        destination_id=made.pk, name="CRM", address="https://other.example.com/x", by=manager, now=NOW
    )
    assert kept == ""
    assert sealed.unseal(moved.sealed) == {"url": "https://other.example.com/x", **both}


def test_a_persons_mail_goes_to_their_own_address_only(rep):
    made, _ = add(rep, owner=rep, channel=Channel.EMAIL, name="Mail", address="somebody@else.test")
    assert sealed.unseal(made.sealed) == {"address": rep.email}
    changed, _ = destinations.change(destination_id=made.pk, name="Mail", address="somebody@else.test", by=rep, now=NOW)
    assert sealed.unseal(changed.sealed) == {"address": rep.email}
    rep.email = ""
    with pytest.raises(Refused, match="no e-mail address"):
        add(rep, owner=rep, channel=Channel.EMAIL, name="Other")


def test_who_may_add_what(rep, other_rep, manager, stranger):
    with pytest.raises(NotAllowed):
        add(rep)
    with pytest.raises(NotAllowed):
        add(rep, owner=other_rep)
    with pytest.raises(NotAllowed):
        add(stranger, owner=stranger)
    with pytest.raises(Refused):
        add(rep, owner=rep, channel=Channel.WEBHOOK)
    with pytest.raises(Refused):
        add(manager, channel="pigeon")
    assert not Destination.objects.exists()


def test_nobody_touches_what_is_somebody_elses(rep, other_rep, manager):
    mine, _ = add(rep, owner=rep)
    team, _ = add(manager)
    with pytest.raises(Destination.DoesNotExist):
        destinations.for_change(mine.pk, other_rep)
    with pytest.raises(Destination.DoesNotExist):
        destinations.for_change(mine.pk, manager)
    with pytest.raises(NotAllowed):
        destinations.for_change(team.pk, rep)


@pytest.mark.parametrize(
    ("channel", "address", "field"),
    [
        (Channel.SLACK, "http://hooks.example.com/x", "address"),
        (Channel.SLACK, "https://169.254.169.254/", "address"),
        (Channel.TEAMS, "https://user:pass@example.com/", "address"),
        (Channel.WEBHOOK, "", "address"),
        (Channel.WEBHOOK, "https://example.com/" + "x" * 2_000, "address"),
        (Channel.EMAIL, "nobody", "address"),
        (Channel.EMAIL, "a@b.test\nBcc: c@d.test", "address"),
    ],
)
def test_an_address_that_is_refused(manager, channel, address, field):
    with pytest.raises(Refused) as refused:
        add(manager, channel=channel, address=address)
    assert refused.value.field == field


def test_a_name_is_there_once_while_it_is_used(manager):
    made, _ = add(manager)
    with pytest.raises(Refused, match="already"):
        add(manager)
    with pytest.raises(Refused, match="1 to 100"):
        add(manager, name="x" * 101)
    destinations.remove(destination_id=made.pk, by=manager, now=NOW)
    add(manager)


def test_removing_forgets_the_address_and_keeps_what_was_sent(manager):
    made, _ = add(manager)
    destinations.try_it(destination_id=made.pk, by=manager, now=NOW)
    destinations.remove(destination_id=made.pk, by=manager, now=NOW)
    made.refresh_from_db()
    assert (made.sealed, made.takes_messages) == ("", False)
    assert OutgoingMessage.objects.get().last_error == "Its destination was removed."
    with pytest.raises(Destination.DoesNotExist):
        destinations.for_change(made.pk, manager)


def test_a_new_address_switches_it_on_again(manager):
    made, _ = add(manager)
    Destination.objects.filter(pk=made.pk).update(disabled_at=NOW, disabled_reason="Answered 410", failures=3)
    with pytest.raises(Refused, match="switched off"):
        destinations.try_it(destination_id=made.pk, by=manager, now=NOW)
    destinations.change(destination_id=made.pk, name="#sales", address=HOOK, by=manager, now=NOW)
    made.refresh_from_db()
    assert (made.disabled_at, made.disabled_reason, made.failures) == (None, "", 0)
