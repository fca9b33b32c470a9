"""Which company there is which of ours: by the id that is known, else by our key, else by domain; never two for one."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum

from django.db import IntegrityError, transaction

from accounts import billing, deals, domains
from accounts.due import Claimed
from accounts.models import Account, Deal
from scoring.crm import mapping, values
from scoring.crm.mapping import Line
from scoring.crm.provider import Crm, Record
from scoring.models import CrmActivity, CrmLink


class Outcome(Enum):
    """What came of looking for a company there. The last three are kinds of conflicts."""

    FOUND = "found"
    NONE = "none"
    SEVERAL = "several"
    TAKEN = "taken"
    GONE = "gone"


@dataclass(slots=True)
class Case:
    """One company in a worker's hands: what we say of it, what the CRM says, and what is to be written."""

    company: Account
    link: CrmLink
    ours: values.Values
    claimed: Claimed | None = None
    record: Record | None = None
    candidates: Sequence[Record] = ()
    plan: mapping.Plan = field(default_factory=mapping.Plan)


def match(
    cases: Sequence[Case], crm: Crm, lines: Sequence[Line], *, in_time: Callable[[], None]
) -> Iterator[tuple[Case, Outcome]]:
    """Each case with what came of it; its `record` and `candidates` are set. At most four requests.

    `in_time` is called before each of them, and may raise.
    """
    wanted = {line.into for line in lines if line.on} | {mapping.KEY, "name"}
    linked = [case for case in cases if case.link.crm_id]
    if linked:
        in_time()
        there = crm.read({case.link.crm_id for case in linked}, wanted)
        gone = {case.company.external_id for case in linked if case.link.crm_id not in there}
        if gone:  # merged there into one that carries our key, say
            in_time()
            again = crm.by_key(gone, wanted)
            others = set(CrmLink.objects.filter(crm_id__in=[r.id for r in again.values()]).values_list("crm_id"))
            again = {key: one for key, one in again.items() if (one.id,) not in others}
        merged = [one.id for pk, one in there.items() if one.id != pk]
        whose: dict[str, int] = {}
        if merged:
            whose = dict(CrmLink.objects.filter(crm_id__in=merged).values_list("crm_id", "company_id"))
        for case in linked:
            case.record = there.get(case.link.crm_id) or (again.get(case.company.external_id) if gone else None)
            if case.record and whose.setdefault(case.record.id, case.company.pk) != case.company.pk:
                case.candidates, case.record = [case.record], None  # merged there with another one of ours
                yield case, Outcome.TAKEN
                continue
            yield case, Outcome.FOUND if case.record else Outcome.GONE
    strangers = [case for case in cases if not case.link.crm_id]
    if not strangers:
        return
    in_time()
    by_key = crm.by_key({case.company.external_id for case in strangers}, wanted)
    unknown = [case for case in strangers if case.company.external_id not in by_key]
    wanted_domains = {domain for case in unknown if (domain := _domain(case))}
    by_domain: dict[str, list[Record]] = {}
    if wanted_domains:
        in_time()
        by_domain = crm.by_domain(wanted_domains, wanted)
    seen = [*by_key.values(), *(one for found in by_domain.values() for one in found)]
    taken = dict(CrmLink.objects.filter(crm_id__in=[one.id for one in seen]).values_list("crm_id", "company_id"))
    for case in strangers:
        yield case, _found(case, by_key, by_domain, taken)


def _found(case: Case, by_key: dict[str, Record], by_domain: dict[str, list[Record]], taken: dict[str, int]) -> Outcome:
    company = case.company
    one = by_key.get(company.external_id)
    how = CrmLink.Matched.KEY
    if one is None:
        found = by_domain.get(_domain(case), [])
        if not found:
            return Outcome.NONE
        how = CrmLink.Matched.DOMAIN
        case.candidates = found
        if len(found) > 1:
            return Outcome.SEVERAL
        one = found[0]
        if not _may_be(one.properties.get(mapping.KEY, ""), company):
            return Outcome.TAKEN
    if taken.get(one.id, company.pk) != company.pk:
        case.candidates = [one]
        return Outcome.TAKEN
    case.record, case.link.matched = one, how
    return Outcome.FOUND


def _domain(case: Case) -> str:
    """What the company may be found by; "" for one of its own, and for what is no company's, as gmail.com."""
    domain = case.company.domain.lower()
    return "" if case.link.own or domains.is_free(domain) else domain


def _may_be(key: str, company: Account) -> bool:
    """Whether a company there with this key of ours may be this one: none, its own, or one that was merged into it."""
    if not key or key == company.external_id:
        return True
    return Account.objects.filter(external_id=key, merged_into=company).exists()


def take_domain(case: Case) -> bool:
    """Take the company's domain before it is made there. False: another of ours has it, and is that company.

    The constraint is the judge, so two workers with two accounts of one company make one there.
    """
    domain = _domain(case)
    if case.link.pk is not None and case.link.domain == domain:
        return True
    try:
        with transaction.atomic():
            link, _ = CrmLink.objects.get_or_create(company=case.company)
            link.domain = domain
            link.save(update_fields=["domain"])
    except IntegrityError:
        return False
    case.link.pk, case.link.domain, case.link._state.adding = link.pk, domain, False
    return True


def known_of(account_ids: Collection[int]) -> set[int]:
    """Those of these accounts of which anything is known in the CRM."""
    found = set(CrmLink.objects.filter(company__in=account_ids).values_list("company_id", flat=True))
    found |= set(Deal.objects.filter(account__in=account_ids).values_list("account_id", flat=True))
    return found | set(CrmActivity.objects.filter(company__in=account_ids).values_list("company_id", flat=True))


def rehome(*, old_id: int, now: dt.datetime) -> None:
    """An account is no company any more: what is known of it in the CRM goes to the company that it is part of now.

    Where that one is matched already, the one there that was the old one's stays the old one's: nothing is written
    there any more, and what sales does there counts for the company. Needs a transaction.
    """
    root_id = deals.locked_companies([old_id])[old_id]
    if root_id == old_id:
        return  # it is one again by now
    old = CrmLink.objects.select_for_update().filter(company=old_id).first()
    if old is not None:
        new = CrmLink.objects.select_for_update().filter(company=root_id).first()
        if new is not None and not new.crm_id and old.crm_id:
            new.delete()
            new = None
        if new is None:
            CrmLink.objects.filter(pk=old.pk).update(company=root_id)
        elif not old.crm_id:
            old.delete()
    if Deal.objects.filter(account=old_id).update(account=root_id):
        billing.set_motion(company_id=root_id, now=now)
    there = CrmActivity.objects.filter(company=root_id)
    for row in CrmActivity.objects.filter(company=old_id):
        if there.filter(kind=row.kind, crm_id=row.crm_id).exists():
            row.delete()
        else:
            CrmActivity.objects.filter(pk=row.pk).update(company=root_id)
