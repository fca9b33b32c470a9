"""A HubSpot on this machine: speaks the requests that plgops makes of it, as its documentation tells them, over HTTP.

It keeps what is written, refuses what HubSpot refuses (unknown properties, a second company with a unique value, a text
in a number), finds late what was made (`lags`), and fails when told (`fail`).
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

TOKEN = "pat-eu1-0123456789abcdef"
STANDARD = {"name", "domain", "hubspot_owner_id", "hs_object_id", "hs_lastmodifieddate", "industry"}


@dataclass
class Failure:
    """How the server answers instead: before it does what was asked (`done` False) or after. Status 0: it hangs up."""

    status: int
    path: str = ""
    times: int = 1
    headers: dict[str, str] = field(default_factory=dict)
    body: dict[str, Any] = field(default_factory=dict)
    done: bool = False


@dataclass
class Asked:
    method: str
    path: str
    body: Any


@dataclass
class HubSpotServer:
    """What it keeps. `asked`: every request; `written`: those that change companies."""

    url: str = ""
    token: str = TOKEN
    portal: int = 777
    objects: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    links: set[tuple[str, str, str, str]] = field(default_factory=set)
    primary: set[tuple[str, str, str]] = field(default_factory=set)  # kind, object, its primary company
    owners: list[dict[str, Any]] = field(default_factory=list)
    properties: dict[str, dict[str, Any]] = field(default_factory=dict)
    groups: set[str] = field(default_factory=set)
    asked: list[Asked] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    lags: bool = False
    hidden: set[str] = field(default_factory=set)
    merged: dict[str, str] = field(default_factory=dict)  # the id of who was merged away: of what became of it
    partly: bool = False  # of a batch with bad values the others are written (207); else nothing is (400)
    page: int = 100  # of a search, at most: smaller in tests of paging
    before: Any = None  # called with each request, before anything is done
    lock: Any = field(default_factory=threading.RLock)
    at: datetime = datetime(2026, 6, 15, 9, 0, tzinfo=UTC)

    # --- what a test does there ---

    def add(self, kind: str, at: datetime | None = None, **properties: Any) -> str:
        """Make an object there, as somebody in HubSpot would; its id."""
        with self.lock:
            rows = self.objects.setdefault(kind, {})
            new = str(1000 + sum(map(len, self.objects.values())) + len(self.merged))
            rows[new] = {"id": new, "properties": dict(properties), "at": at or self.at}
            return new

    def change(self, kind: str, pk: str, at: datetime | None = None, **properties: Any) -> None:
        self.objects[kind][pk]["properties"].update(properties)
        self.objects[kind][pk]["at"] = at or self.at

    def link(self, kind: str, pk: str, company: str, *, primary: bool = False) -> None:
        self.links |= {(kind, pk, "companies", company), ("companies", company, kind, pk)}
        if primary:
            self.primary.add((kind, pk, company))

    def merge(self, kind: str, kept: str, other: str, at: datetime | None = None) -> str:
        """Merge two as HubSpot does: into a new one with an id of its own, as which both old ones answer."""
        with self.lock:
            rows = self.objects[kind]
            properties = {**rows[other]["properties"], **{k: v for k, v in rows[kept]["properties"].items() if v}}
            new = self.add(kind, at, **properties, hs_merged_object_ids=f"{kept};{other}")
            for old in (kept, other):
                del rows[old]
                self.merged[old] = new
            self.links = {tuple(self.merged.get(one, one) for one in link) for link in self.links}  # type: ignore[misc]
            return new

    def fail(self, status: int, path: str = "", **how: Any) -> None:
        self.failures.append(Failure(status, path, **how))

    @property
    def companies(self) -> dict[str, dict[str, Any]]:
        return {pk: row["properties"] for pk, row in self.objects.get("companies", {}).items()}

    @property
    def written(self) -> list[Asked]:
        return [a for a in self.asked if a.path.endswith(("/batch/update", "/batch/upsert", "/batch/create"))]

    # --- what it answers ---

    def answer(self, method: str, path: str, query: dict[str, str], body: Any) -> tuple[int, Any]:
        parts = path.strip("/").split("/")
        if path == "/account-info/v3/details":
            return 200, {"portalId": self.portal, "accountType": "STANDARD"}
        if path.rstrip("/") == "/crm/v3/owners":
            return 200, {"results": self.owners}
        if path == "/crm/v3/pipelines/deals":
            stages = [
                {"id": "appointmentscheduled", "label": "Appointment scheduled"},
                {"id": "closedwon", "label": "Won"},
            ]
            return 200, {"results": [{"id": "default", "label": "Sales", "displayOrder": 0, "stages": stages}]}
        if path.startswith("/crm/v3/properties/companies"):
            return self._properties(method, parts, body)
        if path.startswith("/crm/v4/associations/"):
            return 200, {"status": "COMPLETE", "results": self._links(parts[3], parts[4], body)}
        if path.startswith("/crm/v3/objects/"):
            kind, verb = parts[3], parts[-1]
            return {"read": self._read, "update": self._update, "upsert": self._upsert, "search": self._search}[verb](
                kind, body
            )
        return 404, {"message": f"no such address {path}"}

    def _properties(self, method: str, parts: list[str], body: Any) -> tuple[int, Any]:
        if parts[-1] == "groups":
            if method == "POST":
                self.groups.add(body["name"])
                return 201, body
            return 200, {"results": [{"name": name, "label": name, "archived": False} for name in sorted(self.groups)]}
        if method == "POST":
            if body["groupName"] not in self.groups:
                return 400, {"message": "no such group"}
            self.properties[body["name"]] = body
            return 201, body
        named = [{"name": n, "label": n, "type": "string", "fieldType": "text"} for n in STANDARD]
        return 200, {"results": named + list(self.properties.values())}

    def _links(self, from_kind: str, to_kind: str, body: Any) -> list[dict[str, Any]]:
        found = []
        for one in body["inputs"]:
            to = sorted(t for f, pk, k, t in self.links if (f, pk, k) == (from_kind, one["id"], to_kind))
            if to:
                links = [{"toObjectId": int(t), "associationTypes": self._types(from_kind, one["id"], t)} for t in to]
                found.append({"from": {"id": one["id"]}, "to": links})
        return found

    def _types(self, kind: str, pk: str, to: str) -> list[dict[str, Any]]:
        """Every association has the type without a label; a deal's primary company's one more."""
        types: list[dict[str, Any]] = [{"category": "HUBSPOT_DEFINED", "typeId": 341, "label": None}]
        if (kind, pk, to) in self.primary:
            types.insert(0, {"category": "HUBSPOT_DEFINED", "typeId": 5, "label": "Deal with Primary Company"})
        return types

    def _told(self, row: dict[str, Any], properties: list[str]) -> dict[str, Any]:
        at = row["at"].isoformat().replace("+00:00", "Z")
        known = {**row["properties"], "hs_lastmodifieddate": at, "hs_object_id": row["id"]}
        return {
            "id": row["id"],
            "properties": {name: known.get(name) for name in {*properties, "hs_object_id"}},
            "createdAt": at,
            "updatedAt": at,
            "archived": False,
        }

    def _read(self, kind: str, body: Any) -> tuple[int, Any]:
        rows, by = self.objects.get(kind, {}), body.get("idProperty")
        if by:
            if not self.properties.get(by, {}).get("hasUniqueValue"):
                return 400, {"message": f"{by} is not a unique property", "category": "VALIDATION_ERROR"}
            rows = {row["properties"].get(by): row for row in rows.values()}
        else:
            rows = rows | {old: rows[new] for old, new in self.merged.items() if new in rows}
        found = [rows[one["id"]] for one in body["inputs"] if one["id"] in rows]
        missing = [one["id"] for one in body["inputs"] if one["id"] not in rows]
        told: dict[str, Any] = {
            "status": "COMPLETE",
            "results": [self._told(row, body["properties"]) for row in found],
            "startedAt": "2026-06-15T09:00:00Z",
            "completedAt": "2026-06-15T09:00:00Z",
        }
        if not missing:
            return 200, told
        error = {
            "status": "error",
            "category": "OBJECT_NOT_FOUND",
            "message": "Could not get some objects",
            "context": {"ids": missing},
        }
        return 207, told | {"numErrors": 1, "errors": [error]}

    def _refusal(self, kind: str, inputs: list[tuple[str, dict[str, str]]]) -> str:
        for pk, properties in inputs:
            for name, value in properties.items():
                known = self.properties.get(name)
                if kind == "companies" and known is None and name not in STANDARD:
                    return f"Property values were not valid: Property {name!r} does not exist"
                if known and known["type"] == "number" and value and not value.replace(".", "", 1).isdecimal():
                    return f"Property values were not valid: {value} was not a valid number"
                if known and known.get("hasUniqueValue") and value:
                    others = [o for o, row in self.objects[kind].items() if row["properties"].get(name) == value]
                    if [o for o in others if o != pk]:
                        return f"Cannot set {name}: another company has that value"
                if name == "hubspot_owner_id" and value and value not in {o["id"] for o in self.owners}:
                    return f"Property values were not valid: owner {value} does not exist"
        return ""

    def _written(
        self, kind: str, body: Any, ids: list[str], missing: list[str]
    ) -> tuple[list[tuple[str, dict[str, str]]], tuple[int, Any]]:
        """Of a batch what may be written, and what is answered of the rest: all refused (400), or one by one (207)."""
        inputs = [(pk, one["properties"]) for pk, one in zip(ids, body["inputs"], strict=True)]
        why = [self._refusal(kind, [one]) for one in inputs]
        if any(why) and not self.partly:
            message = next(filter(None, why))
            return [], (400, {"status": "error", "message": message, "category": "VALIDATION_ERROR"})
        errors = [
            {
                "status": "error",
                "category": "VALIDATION_ERROR",
                "message": words,
                "context": {"objectWriteTraceId": [one["objectWriteTraceId"]]}
                if "objectWriteTraceId" in one
                else {"ids": [one["id"]]},
            }
            for one, words in zip(body["inputs"], why, strict=True)
            if words
        ]
        if missing:
            message = "Could not get some objects, they may be deleted"
            context = {"ids": missing}
            errors.append({"status": "error", "category": "OBJECT_NOT_FOUND", "message": message, "context": context})
        good = [one for one, words in zip(inputs, why, strict=True) if not words]
        told = {"status": "COMPLETE", **_TIMES}
        return good, (207, told | {"numErrors": len(errors), "errors": errors}) if errors else (200, told)

    def _update(self, kind: str, body: Any) -> tuple[int, Any]:
        rows = self.objects.setdefault(kind, {})
        ids = [self.merged.get(one["id"], one["id"]) for one in body["inputs"]]
        inputs, (status, told) = self._written(kind, body, ids, [pk for pk in ids if pk not in rows])
        results = []
        for pk, properties in inputs:
            if pk in rows:
                rows[pk]["properties"].update(properties)
                rows[pk]["at"] = self.at
                results.append(self._told(rows[pk], list(properties)))
        return status, told | ({} if status == 400 else {"results": results})

    def _upsert(self, kind: str, body: Any) -> tuple[int, Any]:
        rows = self.objects.setdefault(kind, {})
        by = {row["properties"].get(body["inputs"][0]["idProperty"]): pk for pk, row in rows.items()}
        inputs, (status, told) = self._written(kind, body, [by.get(one["id"], "") for one in body["inputs"]], [])
        results = []
        for pk, properties in inputs:
            new = not pk
            pk = pk or self.add(kind)
            if new and self.lags:
                self.hidden.add(pk)
            rows[pk]["properties"].update(properties)
            rows[pk]["at"] = self.at
            results.append({**self._told(rows[pk], list(properties)), "new": new})
        return status, told | ({} if status == 400 else {"results": results})

    def _search(self, kind: str, body: Any) -> tuple[int, Any]:
        rows = [row for pk, row in self.objects.get(kind, {}).items() if pk not in self.hidden]
        for group in body.get("filterGroups", []):
            for one in group["filters"]:
                if one["operator"] == "IN":
                    wanted = {value.lower() for value in one["values"]}
                    rows = [r for r in rows if str(r["properties"].get(one["propertyName"], "")).lower() in wanted]
                elif one["operator"] == "GTE" and one["propertyName"] == "hs_lastmodifieddate":
                    rows = [r for r in rows if r["at"].timestamp() * 1000 >= int(one["value"])]
                else:
                    return 400, {"message": f"the operator {one['operator']} is not known here"}
        rows.sort(key=lambda row: (row["at"], row["id"]))
        start, limit = int(body.get("after") or 0), min(body.get("limit") or 10, self.page)
        told = {"total": len(rows), "results": [self._told(r, body["properties"]) for r in rows[start : start + limit]]}
        if start + limit < len(rows):
            told["paging"] = {"next": {"after": str(start + limit), "link": "x"}}
        return 200, told


_TIMES = {"startedAt": "2026-06-15T09:00:00Z", "completedAt": "2026-06-15T09:00:00Z"}


@contextlib.contextmanager
def hubspot_server() -> Iterator[HubSpotServer]:
    """One on a free port of 127.0.0.1."""
    world = HubSpotServer()

    class Handler(BaseHTTPRequestHandler):
        def _handle(self) -> None:
            parts = urlsplit(self.path)
            raw = self.rfile.read(int(self.headers.get("content-length", 0)))
            body = json.loads(raw) if raw else None
            if world.before is not None:
                world.before(self.command, parts.path, body)
            with world.lock:
                world.asked.append(Asked(self.command, parts.path, body))
                failure = next((f for f in world.failures if f.times and f.path in parts.path), None)
                if self.headers.get("authorization") != f"Bearer {world.token}":
                    status, told, headers = 401, {"message": "Authentication credentials not found"}, {}
                elif failure is not None:
                    failure.times -= 1
                    if failure.done:
                        query = {k: v[0] for k, v in parse_qs(parts.query).items()}
                        world.answer(self.command, parts.path, query, body)
                    if failure.status == 0:
                        self.close_connection = True
                        return
                    status, told, headers = failure.status, failure.body, failure.headers
                else:
                    query = {k: v[0] for k, v in parse_qs(parts.query).items()}
                    status, told = world.answer(self.command, parts.path, query, body)
                    headers = {}
            said = json.dumps(told).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(said)))
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            with contextlib.suppress(ConnectionError):
                self.wfile.write(said)

        do_GET = do_POST = do_PATCH = _handle

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    world.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield world
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
