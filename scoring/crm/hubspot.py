"""HubSpot, through its official client.

What the client does not do for us: it keeps no time limit, retries reads by sleeping, and lets urllib3's errors
through. So every call has a limit, nothing is retried here (the rows are the queue), and errors become those of
`provider`. Search finds what was written some seconds ago only: what must not happen twice is matched by our key,
whose values HubSpot keeps unique, and made with an upsert by it.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar

import hubspot
import urllib3
from hubspot.crm.associations.v4 import (
    BatchInputPublicFetchAssociationsBatchRequest,
    PublicFetchAssociationsBatchRequest,
)
from hubspot.crm.objects import (
    BatchInputSimplePublicObjectBatchInput,
    BatchInputSimplePublicObjectBatchInputUpsert,
    BatchReadInputSimplePublicObjectId,
    PublicObjectSearchRequest,
    SimplePublicObjectBatchInput,
    SimplePublicObjectBatchInputUpsert,
    SimplePublicObjectId,
)
from hubspot.crm.properties import PropertyCreate, PropertyGroupCreate

from plgops.lib import days
from scoring.crm import hubspot_answers, mapping
from scoring.crm.provider import (
    ActivityFact,
    Busy,
    CrmError,
    DealFact,
    Owner,
    Page,
    Property,
    Record,
    Rejected,
    TokenRefused,
    Unreachable,
    Written,
)

TIMEOUT = (5, 15)  # seconds to connect, and to answer
TOGETHER = 100  # objects of a batch request
BUSY_WAIT = dt.timedelta(seconds=10)  # what HubSpot's limits count by, where it does not say how long
DAY_WAIT = dt.timedelta(hours=1)  # the day's requests are used up: asked again so often
HISTORY = 1_000  # a company's activities of a kind that are read of what was before; the newest
GROUP = "plgops"
_TYPES = {"text": ("string", "text"), "long_text": ("string", "textarea"), "number": ("number", "number")}
_DEAL = ("dealname", "dealstage", "pipeline", "amount", "deal_currency_code", "createdate", "closedate")
_DEAL_STATE = ("hs_is_closed", "hs_is_closed_won", "hs_lastmodifieddate")


class HubSpot:
    """One HubSpot account, by the token of a private app."""

    label: ClassVar[str] = "HubSpot"
    own_names: ClassVar[Mapping[str, str]] = {"name": "name", "domain": "domain", "owner": "hubspot_owner_id"}

    def __init__(self, *, token: str, url: str) -> None:
        once = urllib3.Retry(total=0, redirect=False, respect_retry_after_header=False, raise_on_status=False)
        self._client = hubspot.Client.create(access_token=token, retry=once, host=url)

    # --- what the seam asks ---------------------------------------------------------------------------------

    def check(self) -> str:
        told = _asked(
            self._owners.api_client.call_api,
            "/account-info/v3/details",
            "GET",
            header_params={"Accept": "application/json"},
            response_types_map={200: "object"},
            auth_settings=["oauth2"],
            _return_http_data_only=True,
        )
        _asked(self._owners.get_page, limit=1)
        self._search("companies", [], (), "", limit=1)
        return str(told.get("portalId") or "")

    def prepare(self, wanted: Sequence[Property]) -> list[str]:
        there = self._names()
        missing = [one for one in wanted if one.name not in there]
        if missing:
            groups = {one.name for one in _asked(self._groups.get_all, "companies").results}
            if GROUP not in groups:
                _asked(self._groups.create, "companies", PropertyGroupCreate(name=GROUP, label="plgops"))
        for one in missing:
            kind, field_type = _TYPES[one.kind]
            _asked(
                self._properties.create,
                "companies",
                PropertyCreate(
                    name=one.name,
                    label=one.label,
                    type=kind,
                    field_type=field_type,
                    group_name=GROUP,
                    has_unique_value=one.is_unique,
                ),
            )
        return [one.name for one in missing]

    def owners(self) -> list[Owner]:
        found, after = [], ""
        while True:
            page = _asked(self._owners.get_page, limit=500, **({"after": after} if after else {}))
            for one in page.results:
                name = " ".join(filter(None, (one.first_name, one.last_name)))
                found.append(Owner(str(one.id), (one.email or "").strip().lower(), name or one.email or ""))
            after = hubspot_answers.after(page)
            if not after:
                return found

    def read(self, ids: Collection[str], properties: Collection[str]) -> dict[str, Record]:
        asked = self._read("companies", ids, {*properties, hubspot_answers.MERGED})
        found: dict[str, Record] = {}
        for one in map(hubspot_answers.record, asked):  # one that was merged there answers with the id of the new one
            former = one.properties.get(hubspot_answers.MERGED, "").split(";")
            found.update({pk: one for pk in {one.id, *former} if pk in ids})
        return found

    def by_key(self, keys: Collection[str], properties: Collection[str]) -> dict[str, Record]:
        try:
            found = self._read("companies", keys, {*properties, mapping.KEY}, by=mapping.KEY)
        except Rejected:
            if mapping.KEY in self._names():
                raise
            return {}  # a dry run before the key's property was made: nobody carries one
        return {one.properties.get(mapping.KEY, ""): one for one in map(hubspot_answers.record, found)}

    def by_domain(self, domains: Collection[str], properties: Collection[str]) -> dict[str, list[Record]]:
        found: dict[str, list[Record]] = {}
        for some in _pieces(sorted(domains)):
            wanted = [{"propertyName": "domain", "operator": "IN", "values": some}]
            after = ""
            while True:
                page = self._search("companies", wanted, {*properties, "domain", mapping.KEY}, after)
                for one in map(hubspot_answers.record, page.results):
                    found.setdefault(one.properties.get("domain", "").lower(), []).append(one)
                after = hubspot_answers.after(page)
                if not after:
                    break
        return found

    def update(self, changes: Mapping[str, Mapping[str, str]]) -> Written:
        def ask(some: Sequence[str]) -> Any:
            inputs = [SimplePublicObjectBatchInput(id=one, properties=dict(changes[one])) for one in some]
            return _asked(self._batch.update, "companies", BatchInputSimplePublicObjectBatchInput(inputs=inputs))

        return _written(sorted(changes), ask, lambda one: str(one.id))

    def create(self, companies: Mapping[str, Mapping[str, str]]) -> Written:
        def ask(some: Sequence[str]) -> Any:
            inputs = [
                SimplePublicObjectBatchInputUpsert(
                    id=key,
                    id_property=mapping.KEY,
                    object_write_trace_id=key,  # by which an error says whose it is
                    properties={**companies[key], mapping.KEY: key},
                )
                for key in some
            ]
            return _asked(self._batch.upsert, "companies", BatchInputSimplePublicObjectBatchInputUpsert(inputs=inputs))

        return _written(sorted(companies), ask, lambda one: str((one.properties or {}).get(mapping.KEY, "")))

    def companies_since(self, since: dt.datetime, properties: Collection[str], after: str) -> Page[Record]:
        page = self._since("companies", since, {*properties, mapping.KEY}, after)
        return Page([hubspot_answers.record(one) for one in page.results], hubspot_answers.after(page))

    def deals_since(self, since: dt.datetime, after: str) -> Page[DealFact]:
        page = self._since("deals", since, (*_DEAL, *_DEAL_STATE), after)
        return Page(self._deals(page.results), hubspot_answers.after(page))

    def activities_since(self, kind: str, since: dt.datetime, after: str) -> Page[ActivityFact]:
        page = self._since(hubspot_answers.ACTIVITIES[kind][0], since, hubspot_answers.activity_properties(kind), after)
        return Page(self._activities(kind, page.results), hubspot_answers.after(page))

    def deals_of(self, company_ids: Collection[str]) -> list[DealFact]:
        links = self._links("companies", "deals", company_ids)
        return self.deals({one for ids in links.values() for one in ids})

    def deals(self, ids: Collection[str]) -> list[DealFact]:
        return self._deals(self._read("deals", ids, (*_DEAL, *_DEAL_STATE)))

    def activity_ids_of(self, kind: str, company_ids: Collection[str]) -> dict[str, list[str]]:
        links = self._links("companies", hubspot_answers.ACTIVITIES[kind][0], company_ids)
        return {company: sorted(set(ids), key=int, reverse=True)[:HISTORY] for company, ids in links.items()}

    def activities(self, kind: str, ids: Collection[str]) -> list[ActivityFact]:
        found = self._read(hubspot_answers.ACTIVITIES[kind][0], ids, hubspot_answers.activity_properties(kind))
        return self._activities(kind, found)

    # --- requests -------------------------------------------------------------------------------------------

    @cached_property
    def _owners(self) -> Any:
        return self._client.crm.owners.owners_api

    @cached_property
    def _properties(self) -> Any:
        return self._client.crm.properties.core_api

    @cached_property
    def _groups(self) -> Any:
        return self._client.crm.properties.groups_api

    @cached_property
    def _batch(self) -> Any:
        return self._client.crm.objects.batch_api

    @cached_property
    def _searches(self) -> Any:
        return self._client.crm.objects.search_api

    @cached_property
    def _associations(self) -> Any:
        return self._client.crm.associations.v4.batch_api

    @cached_property
    def _stages(self) -> dict[str, str]:
        """The names of all pipelines' stages."""
        found = _asked(self._client.crm.pipelines.pipelines_api.get_all, "deals").results
        return {str(stage.id): stage.label for pipeline in found for stage in pipeline.stages}

    def _names(self) -> set[str]:
        """The properties that companies have there."""
        return {str(one.name) for one in _asked(self._properties.get_all, "companies").results}

    def _search(
        self, name: str, filters: list[dict[str, Any]], properties: Collection[str], after: str, limit: int = TOGETHER
    ) -> Any:
        asked = PublicObjectSearchRequest(
            filter_groups=[{"filters": filters}] if filters else [],
            sorts=[{"propertyName": "hs_lastmodifieddate", "direction": "ASCENDING"}],
            properties=sorted(properties),
            limit=limit,
            after=after or None,
        )
        return _asked(self._searches.do_search, name, asked)

    def _since(self, name: str, since: dt.datetime, properties: Collection[str], after: str) -> Any:
        changed = {
            "propertyName": "hs_lastmodifieddate",
            "operator": "GTE",
            "value": str(days.micros(since) // 1000),
        }
        return self._search(name, [changed], {*properties, "hs_lastmodifieddate"}, after)

    def _read(self, name: str, ids: Iterable[str], properties: Collection[str], by: str = "") -> list[Any]:
        found: list[Any] = []
        for some in _pieces(sorted(set(ids))):
            asked = BatchReadInputSimplePublicObjectId(
                inputs=[SimplePublicObjectId(id=one) for one in some],
                properties=sorted(properties),
                properties_with_history=[],
                id_property=by or None,
            )
            found += _asked(self._batch.read, name, asked).results
        return found

    def _links(self, from_name: str, to_name: str, ids: Collection[str]) -> dict[str, list[str]]:
        """For each of these objects those that hang together with it; a deal's primary company comes first."""
        found: dict[str, list[str]] = {}
        asking = [PublicFetchAssociationsBatchRequest(id=one) for one in sorted(set(ids))]
        while asking:
            asked = BatchInputPublicFetchAssociationsBatchRequest(inputs=asking[:TOGETHER])
            asking = asking[TOGETHER:]
            for one in _asked(self._associations.get_page, from_name, to_name, asked).results:
                mine = str(one._from.id)
                first, others = hubspot_answers.linked(one.to)
                found[mine] = [*first, *found.get(mine, ()), *others]
                if hubspot_answers.after(one):
                    asking.append(PublicFetchAssociationsBatchRequest(id=mine, after=hubspot_answers.after(one)))
        return found

    def _deals(self, objects: Sequence[Any]) -> list[DealFact]:
        links = self._links("deals", "companies", [str(one.id) for one in objects])
        return [hubspot_answers.deal(one, links.get(str(one.id), []), self._stages) for one in objects]

    def _activities(self, kind: str, objects: Sequence[Any]) -> list[ActivityFact]:
        links = self._links(hubspot_answers.ACTIVITIES[kind][0], "companies", [str(one.id) for one in objects])
        return [hubspot_answers.activity(kind, one, links.get(str(one.id), [])) for one in objects]


# --- errors -----------------------------------------------------------------------------------------------------


def _asked(call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """One request; whatever goes wrong is a CrmError. Its words are HubSpot's, never the request's with the token."""
    try:
        return call(*args, _request_timeout=TIMEOUT, **kwargs)
    except urllib3.exceptions.HTTPError as error:
        raise Unreachable(f"HubSpot did not answer ({type(error).__name__}).") from error
    except Exception as error:  # each part of the client has an ApiException of its own
        status = getattr(error, "status", None)
        if status is None:
            raise
        raise _error(int(status or 0), error) from error


def _error(status: int, error: Exception) -> CrmError:
    told = _told(getattr(error, "body", None))
    words = str(told.get("message") or "")[:300]
    if status == 401:
        return TokenRefused("HubSpot does not take the token any more (401).")
    if status == 403:
        return TokenRefused(f"The token lacks a right in HubSpot (403). {words}".strip())
    if status == 429:
        used_up = "DAILY" in str(told.get("policyName") or "").upper()
        return Busy("Too many requests (429).", _wait(error) or (DAY_WAIT if used_up else BUSY_WAIT))
    if status == 0 or status >= 500:
        return Unreachable(f"HubSpot has trouble of its own ({status}).")
    return Rejected(f"HubSpot refused it ({status}). {words}".strip())


def _told(body: Any) -> dict[str, Any]:
    try:
        told = json.loads(body or b"{}")
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


def _wait(error: Exception) -> dt.timedelta | None:
    """What Retry-After says, in seconds; at most a day."""
    headers = getattr(error, "headers", None) or {}
    text = str(headers.get("Retry-After") or "").strip()
    return dt.timedelta(seconds=min(int(text), 86_400)) if text.isdecimal() else None


def _written(names: Sequence[str], ask: Callable[[Sequence[str]], Any], named: Callable[[Any], str]) -> Written:
    """Write some at once. HubSpot refuses a whole batch for one bad value: then one by one, to know whose it is."""
    found = Written()
    for some in _pieces(names):
        try:
            answer = ask(some)
        except Rejected as error:
            if len(some) == 1:
                found.failed[some[0]] = str(error)
                continue
            for one in some:
                alone = _written([one], ask, named)
                found.done |= alone.done
                found.failed |= alone.failed
            continue
        done = {named(one): str(one.id) for one in answer.results or []}
        found.done |= {name: done[name] for name in some if name in done}
        words = hubspot_answers.refusals(getattr(answer, "errors", None) or [], some)
        for name in set(some) - done.keys():
            why = words.get(name) or words.get("")
            found.failed[name] = f"HubSpot refused it. {why}" if why else "HubSpot did not say that it was written."
    return found


def _pieces(names: Sequence[str]) -> Iterator[list[str]]:
    for start in range(0, len(names), TOGETHER):
        yield list(names[start : start + TOGETHER])
