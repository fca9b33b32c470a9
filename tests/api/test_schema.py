"""The API asked everything that its description allows, and much that it does not: schemathesis against the real app.

Each operation is asked a fixed series of requests, the same in every run: what fits the description and what does not,
every second one about things that are there. No answer is a 5xx, of an undocumented status, or of another shape.
"""

import itertools
import json

import pytest
import schemathesis
from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.validation import validate_schema
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as hypothesis_settings
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from accounts.models import ProductUser
from scoring.models import Handoff, Play, Qualification
from tests.api.conftest import Program, token_of
from tests.factories.scoring import document

pytestmark = pytest.mark.django_db
EXAMPLES = 25
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
DESCRIPTION = json.loads(json.dumps(SchemaGenerator().get_schema(public=True)))
SCHEMA = schemathesis.openapi.from_dict(DESCRIPTION)
SCHEMA.app = WSGIHandler()
OPERATIONS = [found.ok() for found in SCHEMA.get_all_operations()]


@pytest.fixture(autouse=True)
def one_connection():
    """A server closes its connection after a request; here it holds the test's transaction."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


def test_the_description_is_openapi():
    validate_schema(DESCRIPTION)
    assert DESCRIPTION["openapi"].startswith("3.")


def test_every_operation_is_described(admin):
    """Words for people, a name for generated clients, and an example of each error's shape."""
    assert len(OPERATIONS) == sum(len(operations) for operations in DESCRIPTION["paths"].values()) >= 35
    names = []
    for path, operations in DESCRIPTION["paths"].items():
        for method, operation in operations.items():
            names.append(operation["operationId"])
            assert operation["summary"] and operation["tags"] and operation["security"] == [{"token": []}], path
            wrong = {code for code in operation["responses"] if code >= "4"}
            assert {"401", "403", "422", "429"} <= wrong and ("409" in wrong) == (method == "post"), path
            if method == "post":
                named = {parameter["name"] for parameter in operation.get("parameters", ())}
                assert "Idempotency-Key" in named or path.endswith("/validate/"), path
    assert len(names) == len(set(names))


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.label)
def test_nothing_that_it_is_asked_breaks_it(world, admin, settings, operation, mode):
    settings.API_PER_MINUTE = 0
    key = token_of(admin)
    there = {
        "external_id": "acme",
        "slug": "team-expansion",
        "handoff_id": Handoff.objects.order_by("pk").values_list("pk", flat=True)[0],
        "qualification_id": Qualification.objects.order_by("pk").values_list("pk", flat=True)[0],
        "number": 1,
    }
    if "/people/" in operation.path:
        there["external_id"] = ProductUser.objects.order_by("pk").values_list("external_id", flat=True)[0]
    if "/plays/" in operation.path:
        definition = Qualification.objects.order_by("pk")[0].definition
        now = definition.created_at
        Play.objects.create(
            slug="team-expansion", name="P", definition=definition, action="prompt", salt="s", created_at=now
        )
    turns = itertools.count()

    @hypothesis_settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask(case):
        turn = next(turns)
        if turn % 2:
            case.path_parameters = {name: there.get(name, value) for name, value in case.path_parameters.items()}
            if isinstance(case.body, dict) and "definition" in case.body:
                case.body["definition"] = "team-expansion"
            if turn % 4 == 3 and isinstance(case.body, dict) and "document" in case.body:
                case.body["document"] = document(name=f"Team {turn}")
        response = case.call(headers={"Authorization": f"Bearer {key}", "Accept-Encoding": "identity"})
        case.validate_response(response, checks=CHECKS)

    ask()
    assert next(turns) >= 1


def test_the_checks_would_see_it(world, admin, monkeypatch):
    """What they are held by: an answer of another shape, and one that broke."""
    operation = next(one for one in OPERATIONS if one.label == "GET /api/v1/accounts/{external_id}/")
    case = operation.Case(path_parameters={"external_id": "acme"})
    headers = {"Authorization": f"Bearer {token_of(admin)}", "Accept-Encoding": "identity"}
    case.validate_response(case.call(headers=headers), checks=CHECKS)
    for wrong in (lambda account: {"name": 1}, lambda account: 1 / 0):
        monkeypatch.setattr("accounts.rest.accounts.told", wrong)
        with pytest.raises(BaseException, match="(?i)schema|server error"):
            case.validate_response(case.call(headers=headers), checks=CHECKS)


def test_the_served_description_is_this_one(viewer):
    status, told = Program(token_of(viewer, "accounts:read")).get("schema/")
    assert status == 200 and told["paths"].keys() == DESCRIPTION["paths"].keys()
