"""Definitions for programs: what is live, its versions, a text checked, and a text published."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any

from django.http import Http404
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.models import StaffUser
from accounts.rest.answering import Bad, Conflict
from accounts.rest.endpoint import Endpoint
from accounts.rest.shapes import IDEMPOTENCY_KEY, Listed, Moment, Person, answers, moment, person
from scoring import definitions, drafts, versions
from scoring.models import Definition, DefinitionVersion
from scoring.models.definitions import Level, Purpose
from scoring.rules.problems import Problem, RuleError

TAG = ["definitions"]
IF_MATCH = OpenApiParameter(
    "If-Match",
    {"type": "string", "pattern": r'^"?[0-9]+"?$'},
    OpenApiParameter.HEADER,
    description="The number of the version that was edited (its ETag). Needed here or as `expected_version`.",
)


class DefinitionShape(serializers.Serializer[Any]):
    """A definition: its name, and which version is live."""

    slug = serializers.CharField()
    name = serializers.CharField()
    purpose = serializers.ChoiceField(choices=Purpose.choices)
    level = serializers.ChoiceField(choices=Level.choices)
    live_version = serializers.IntegerField(allow_null=True, help_text="Null: archived.")
    created_at = serializers.DateTimeField()
    archived_at = serializers.DateTimeField(allow_null=True)


class VersionName(serializers.Serializer[Any]):
    """A version without its text."""

    number = serializers.IntegerField()
    reason = serializers.CharField(help_text="Why it was published; may be empty.")
    published_at = serializers.DateTimeField()
    published_by = Person(allow_null=True)


class VersionShape(VersionName):
    """A version: the stored form (docs/rules.md), and what it says in English."""

    definition = serializers.CharField(help_text="The slug.")
    document = serializers.DictField()
    english = serializers.CharField()


class DefinitionDetail(DefinitionShape):
    """A definition with its newest version."""

    version = VersionShape(allow_null=True)


class DefinitionPage(serializers.Serializer[Any]):
    """A page of definitions."""

    definitions = DefinitionShape(many=True)
    next = serializers.CharField(allow_null=True)


class VersionPage(serializers.Serializer[Any]):
    """A page of versions."""

    versions = VersionName(many=True)
    next = serializers.CharField(allow_null=True)


class AskedDefinitions(Listed):
    """Which definitions."""

    state = serializers.ChoiceField(choices=["live", "archived", "all"], required=False, help_text="Left out: live.")
    purpose = serializers.ChoiceField(choices=Purpose.choices, required=False)
    updated_since = Moment(required=False, help_text="Published or archived then or later.")


class Text(serializers.Serializer[Any]):
    """A definition in its stored form (docs/rules.md)."""

    document = serializers.DictField(help_text="The stored form: slug, name, purpose, level, rule …")


class NewDefinition(Text):
    """The first version of a definition."""

    reason = serializers.CharField(required=False, allow_blank=True, max_length=300)


class NewVersion(NewDefinition):
    """The next version of a definition."""

    expected_version = serializers.IntegerField(
        required=False, min_value=0, max_value=2**31 - 1, help_text="The version that was edited; or as If-Match."
    )


class ProblemShape(serializers.Serializer[Any]):
    """What is wrong, and where."""

    path = serializers.CharField(allow_blank=True, help_text="JSON pointer; empty: the whole.")
    message = serializers.CharField()


class Checked(serializers.Serializer[Any]):
    """What a text says, or what is wrong with it."""

    valid = serializers.BooleanField()
    english = serializers.CharField(allow_null=True)
    problems = ProblemShape(many=True)
    warnings = ProblemShape(
        many=True, help_text="Events in it that are unknown or silent; it can be published all the same."
    )


SAYS_IT_ALREADY = {200: OpenApiResponse(VersionShape, "The live version says this already; nothing changed.")}


class Definitions(Endpoint):
    """GET and POST /api/v1/definitions/"""

    scopes = {"GET": "definitions:read", "POST": "definitions:write"}

    @extend_schema(
        operation_id="definitions_list",
        tags=TAG,
        parameters=[AskedDefinitions],
        responses=answers(200, DefinitionPage, "A page of definitions, in the order in which they were made."),
    )
    def get(self, request: Request) -> Response:
        """List definitions."""
        asked = self.asked(AskedDefinitions)
        rows = Definition.objects.select_related("live_version").defer(
            "live_version__document", "live_version__english"
        )
        state = asked.get("state", "live")
        if state != "all":
            rows = rows.filter(archived_at__isnull=state == "live")
        if "purpose" in asked:
            rows = rows.filter(purpose=asked["purpose"])
        if "updated_since" in asked:
            since = asked["updated_since"]
            rows = rows.filter(live_version__published_at__gte=since) | rows.filter(archived_at__gte=since)
        page = self.page(rows, asked=asked)
        return Response({"definitions": [_told(one) for one in page.items], "next": page.next_cursor or None})

    @extend_schema(
        operation_id="definitions_create",
        tags=TAG,
        parameters=[IDEMPOTENCY_KEY],
        request=NewDefinition,
        responses=answers(201, VersionShape, "Its first version, live now.", write=True) | SAYS_IT_ALREADY,
    )
    def post(self, request: Request) -> Response:
        """Publish a new definition. Its slug has to be free."""
        asked = self.told(NewDefinition)
        return self.write(lambda now: _published(asked, by=self.user, now=now, replaces=0))


class OneDefinition(Endpoint):
    """GET /api/v1/definitions/<slug>/"""

    scopes = {"GET": "definitions:read"}

    @extend_schema(
        operation_id="definitions_get",
        tags=TAG,
        responses=answers(200, DefinitionDetail, "The definition; its version's number is the ETag.", 404),
    )
    def get(self, request: Request, slug: str) -> Response:
        """Get a definition with the text of its newest version."""
        definition = _found(slug)
        version = definition.live_version
        response = Response(_told(definition) | {"version": _version(version, definition.slug) if version else None})
        if version:
            response.headers["ETag"] = f'"{version.number}"'
        return response


class Versions(Endpoint):
    """GET and POST /api/v1/definitions/<slug>/versions/"""

    scopes = {"GET": "definitions:read", "POST": "definitions:write"}

    @extend_schema(
        operation_id="definitions_versions",
        tags=TAG,
        parameters=[Listed],
        responses=answers(200, VersionPage, "A page of versions, the newest first.", 404),
    )
    def get(self, request: Request, slug: str) -> Response:
        """List a definition's versions."""
        asked = self.asked(Listed)
        rows = _found(slug).versions.select_related("published_by").defer("document", "english")
        page = self.page(rows, tie="-number", asked=asked)
        return Response({"versions": [_named(one) for one in page.items], "next": page.next_cursor or None})

    @extend_schema(
        operation_id="definitions_publish",
        tags=TAG,
        parameters=[IF_MATCH, IDEMPOTENCY_KEY],
        request=NewVersion,
        responses=answers(201, VersionShape, "The new version, live now.", 404, write=True) | SAYS_IT_ALREADY,
    )
    def post(self, request: Request, slug: str) -> Response:
        """Publish the next version. 409 with what changed if another one is live than the one that was edited."""
        asked = self.told(NewVersion)
        _found(slug)
        expected = _expected(request, asked)
        if asked["document"].get("slug") != slug:
            raise _refused([Problem("/slug", f"expected “{slug}”: the slug of a definition never changes")])
        return self.write(lambda now: _published(asked, by=self.user, now=now, replaces=expected))


class OneVersion(Endpoint):
    """GET /api/v1/definitions/<slug>/versions/<number>/"""

    scopes = {"GET": "definitions:read"}

    @extend_schema(
        operation_id="definitions_version", tags=TAG, responses=answers(200, VersionShape, "The version.", 404)
    )
    def get(self, request: Request, slug: str, number: int) -> Response:
        """Get one version with its text."""
        version = versions.of(_found(slug), number)
        if version is None:
            raise Http404(f"There is no version {number} of “{slug[:80]}”.")
        response = Response(_version(version, slug))
        response.headers["ETag"] = f'"{version.number}"'
        return response


class Archived(Endpoint):
    """POST /api/v1/definitions/<slug>/archive/"""

    scopes = {"POST": "definitions:write"}

    @extend_schema(
        operation_id="definitions_archive",
        tags=TAG,
        parameters=[IDEMPOTENCY_KEY],
        request=None,
        responses=answers(200, DefinitionShape, "It is out of use.", 404, write=True),
    )
    def post(self, request: Request, slug: str) -> Response:
        """Take a definition out of use. Nobody qualifies under it any more; publishing it again brings it back."""
        definition = _found(slug)

        def act(now: dt.datetime) -> tuple[int, Any]:
            definitions.archive(definition_id=definition.pk, by=self.user, now=now)
            return 200, _told(_found(slug))

        return self.write(act)


class Validate(Endpoint):
    """POST /api/v1/definitions/validate/"""

    scopes = {"POST": "definitions:read"}

    @extend_schema(
        operation_id="definitions_validate",
        tags=TAG,
        request=Text,
        responses=answers(200, Checked, "What it says, or every problem with its place.", write=True),
    )
    def post(self, request: Request) -> Response:
        """Check a definition's text as publishing checks it, without publishing."""
        draft = drafts.read(self.told(Text)["document"], now=timezone.now())
        warned = [{"path": path, "message": words} for path, all_of in draft.warnings.items() for words in all_of]
        return Response(
            {
                "valid": not draft.problems,
                "english": draft.english or None,
                "problems": drafts.places(draft.problems),
                "warnings": warned,
            }
        )


# --- publishing -------------------------------------------------------------------------------------------------


def _published(asked: dict[str, Any], *, by: StaffUser, now: dt.datetime, replaces: int) -> tuple[int, Any]:
    """What publishing is answered: 201, or 200 where the live version says the same already."""
    try:
        version = definitions.publish(
            document=asked["document"], by=by, now=now, reason=asked.get("reason", ""), replaces=replaces
        )
    except RuleError as error:
        raise _refused(error.problems) from error
    except definitions.Stale as stale:
        raise _stale(stale.version, expected=replaces) from stale
    return 201 if version.published_at == now else 200, _version(version, version.definition.slug)


def _expected(request: Request, asked: dict[str, Any]) -> int:
    """The version that was edited: of the header, else of the body."""
    header = request.headers.get("If-Match", "").strip()
    if not header:
        if "expected_version" in asked:
            return int(asked["expected_version"])
        words = "Say which version was edited: its number as If-Match, or as expected_version."
        raise Bad(words, fields={"expected_version": [words]})
    match = re.fullmatch(r'(?:W/)?"?(\d{1,9})"?', header, re.ASCII)
    if match is None:
        words = 'Expected the number of a version, as in "3".'
        raise Bad(f"If-Match: {words}", fields={"If-Match": [words]})
    return int(match[1])


def _stale(live: DefinitionVersion, *, expected: int) -> Conflict:
    """Another version is live than the one that was edited: which, and what it changed of that one, in English."""
    edited = versions.of(live.definition, expected)
    compared = versions.compare(edited.document, live.document) if edited else None
    changes = None if compared is None or compared.changes is None else [str(change) for change in compared.changes]
    more = {"live_version": live.number, "expected_version": expected, "changes": changes}
    return Conflict(f"Version {live.number} was published meanwhile.", code="stale_version", more=more)


def _refused(problems: list[Problem]) -> Bad:
    """The text is not a definition: every problem by its place."""
    fields: dict[str, list[str]] = {}
    for problem in problems:
        fields.setdefault(problem.path, []).append(problem.message)
    count = len(problems)
    words = f"{problems[0].path or 'The document'}: {problems[0].message}" if count == 1 else f"{count} problems."
    return Bad(words, code="invalid_definition", fields=fields)


# --- telling ----------------------------------------------------------------------------------------------------


def _found(slug: str) -> Definition:
    rows = Definition.objects.select_related("live_version__published_by")
    found = rows.filter(slug=slug).first()
    if found is None:
        raise Http404(f"There is no definition “{slug[:80]}”.")
    return found


def _told(definition: Definition) -> dict[str, Any]:
    live = definition.live_version
    return {
        "slug": definition.slug,
        "name": definition.name,
        "purpose": definition.purpose,
        "level": definition.level,
        "live_version": live.number if live and definition.archived_at is None else None,
        "created_at": moment(definition.created_at),
        "archived_at": moment(definition.archived_at),
    }


def _named(version: DefinitionVersion) -> dict[str, Any]:
    return {
        "number": version.number,
        "reason": version.reason,
        "published_at": moment(version.published_at),
        "published_by": person(version.published_by),
    }


def _version(version: DefinitionVersion, slug: str) -> dict[str, Any]:
    return _named(version) | {"definition": slug, "document": version.document, "english": version.english}
