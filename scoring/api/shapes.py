"""What scoring answers, for the API's description; scoring.serializers makes it, and tests hold the two together."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from accounts.rest.shapes import AccountName
from scoring.models import Qualification
from scoring.models.definitions import Purpose

_NUMBER = {"oneOf": [{"type": "number"}, {"type": "string"}, {"type": "boolean"}, {"type": "array"}], "nullable": True}


@extend_schema_field({"type": "array", "items": {"$ref": "#/components/schemas/RulePart"}})
class Parts(serializers.JSONField):
    """Parts of a rule: a tree."""


@extend_schema_field(
    {"description": "A number in the condition's unit; a text, a list or a yes or no where it asks for that."}
)
class Value(serializers.JSONField):
    """A threshold or what was measured."""


class ProductPerson(serializers.Serializer[Any]):
    """A person who uses the product."""

    external_id = serializers.CharField()
    name = serializers.CharField()


class Reading(serializers.Serializer[Any]):
    """What was measured by the end of a day."""

    holds = serializers.BooleanField(allow_null=True, help_text="Of the condition itself, whatever stands above it.")
    measured = Value(allow_null=True)
    distance = Value(allow_null=True, help_text="0 or more holds with so much to spare; below 0 so much is missing.")
    window = serializers.ListField(
        child=serializers.DateField(allow_null=True), allow_null=True, help_text="First and last day."
    )
    people = ProductPerson(many=True, help_text="At most 10.")
    people_total = serializers.IntegerField()
    days = serializers.ListField(child=serializers.DateField(), help_text="At most 31.")
    days_total = serializers.IntegerField()
    newest_at = serializers.DateTimeField(allow_null=True)
    limit = Value(required=False)
    base = Value(required=False)
    parts = serializers.DictField(required=False, help_text="Of a score: points of fit, usage and intent.")
    band = serializers.CharField(required=False)


class RulePart(serializers.Serializer[Any]):
    """A group, a condition or a signal of the rule, in the rule's shape."""

    kind = serializers.CharField()
    path = serializers.CharField(help_text="JSON pointer into the definition.")
    english = serializers.CharField()
    held = serializers.BooleanField(allow_null=True, help_text="When the episode was opened; null: not known.")
    holds_now = serializers.BooleanField(allow_null=True, required=False, help_text="With ?today=1.")
    at_least = serializers.IntegerField(required=False)
    part = serializers.CharField(required=False, allow_null=True)
    negated = serializers.BooleanField(required=False)
    comparison = serializers.CharField(required=False, allow_null=True)
    threshold = Value(required=False, allow_null=True)
    unit = serializers.CharField(required=False, allow_null=True)
    events = serializers.ListField(child=serializers.CharField(), required=False)
    frozen = Reading(required=False, allow_null=True)
    today = Reading(required=False, allow_null=True)
    parts = Parts(required=False)


class ExplainedDefinition(serializers.Serializer[Any]):
    """The definition under which it qualifies."""

    slug = serializers.CharField()
    name = serializers.CharField()
    purpose = serializers.ChoiceField(choices=Purpose.choices)
    version = serializers.IntegerField(help_text="The version it entered by.")
    live_version = serializers.IntegerField(allow_null=True, help_text="Null: archived.")
    english = serializers.CharField()


class Explanation(serializers.Serializer[Any]):
    """Why an account qualifies, or did: an episode with its evidence."""

    id = serializers.IntegerField()
    account = AccountName()
    definition = ExplainedDefinition()
    cause = serializers.ChoiceField(choices=Qualification.Cause.choices)
    release = serializers.ChoiceField(choices=Qualification.Release.choices)
    opened_at = serializers.DateTimeField()
    since_at = serializers.DateTimeField(allow_null=True)
    since_day = serializers.DateField(allow_null=True)
    closed_at = serializers.DateTimeField(allow_null=True)
    close_cause = serializers.ChoiceField(choices=Qualification.CloseCause.choices, allow_null=True)
    as_of = serializers.DateField(allow_null=True)
    today = serializers.DateField(allow_null=True)
    sentence = serializers.CharField()
    people = ProductPerson(many=True)
    people_total = serializers.IntegerField()
    rule = RulePart(allow_null=True)
