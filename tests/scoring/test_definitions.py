"""Publishing and archiving definitions, and the command that does it from a file."""

import json

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, transaction

from accounts.models import AuditEntry
from scoring import definitions, freshness
from scoring.models import Definition, DefinitionVersion, Qualification
from scoring.rules.problems import RuleError
from scoring.rules.tree import leaves
from tests.conftest import NOW
from tests.factories.scoring import document, make_account, publish, sweep, use

pytestmark = pytest.mark.django_db


def test_publish_freezes_the_text_and_its_english(admin):
    version = definitions.publish(document=document(), by=admin, now=NOW, reason="Start")
    assert (version.number, version.published_by, version.published_at, version.reason) == (1, admin, NOW, "Start")
    assert version.definition.live_version == version
    assert (version.definition.purpose, version.definition.level) == ("pql", "account")
    assert "Invite Sent" in version.english
    # a play hands over whom it finds (scoring/playbook.py)
    actions = AuditEntry.objects.order_by("pk").values_list("action", flat=True)
    assert sorted(actions) == ["definition.published", "play.created"]


def test_publishing_the_same_text_again_makes_no_version():
    first = publish(NOW)
    assert publish(NOW, level="account") == first
    published = AuditEntry.objects.filter(action="definition.published")
    assert (DefinitionVersion.objects.count(), published.count()) == (1, 1)


def test_changed_text_is_the_next_version_and_the_old_one_stays():
    first = publish(NOW)
    second = publish(NOW, grace_days=9)
    first.refresh_from_db()
    assert (second.number, first.document["grace_days"], second.document["grace_days"]) == (2, 2, 9)
    assert Definition.objects.get().live_version == second


def test_archived_definition_is_not_live_and_comes_back_as_a_new_version(admin):
    first = publish(NOW)
    for _ in range(2):
        definitions.archive(definition_id=first.definition_id, by=admin, now=NOW)
    assert definitions.live_rules() == []
    assert publish(NOW).number == 2
    assert [rule.slug for rule in definitions.live_rules()] == ["team-expansion"]
    assert AuditEntry.objects.filter(action="definition.archived").count() == 1


def test_definition_that_reads_the_stage_it_writes_is_refused():
    with pytest.raises(RuleError) as caught:
        publish(NOW, rule={"stage": {"reached": "pql"}})
    assert [p.path for p in caught.value.problems] == ["/rule/stage"]


def test_cycle_through_another_definition_is_refused_and_named():
    publish(NOW, slug="active", name="Active", purpose="activation", rule={"stage": {"reached": "pql"}})
    with pytest.raises(RuleError) as caught:
        publish(NOW, rule={"all": [{"stage": {"reached": "activated"}}]})
    (problem,) = caught.value.problems
    assert problem.path == "/rule/all/0/stage"
    assert "“Active”" in problem.message
    assert Definition.objects.count() == 1


def test_chain_of_stages_without_a_cycle_is_fine():
    publish(NOW, slug="active", name="Active", purpose="activation")
    publish(NOW, rule={"stage": {"reached": "activated"}})
    assert [rule.slug for rule in definitions.live_rules()] == ["active", "team-expansion"]


ACTIVE = {"count": {"event": "Invite Sent", "at_least": 1}}


def nest(slug: str, *inner: str, **more) -> DefinitionVersion:
    asks = [{"definition": name} for name in inner]
    rule = {"all": [*asks, ACTIVE]} if asks else ACTIVE
    return publish(NOW, **({"slug": slug, "name": slug.title(), "rule": rule, "purpose": "risk"} | more))


def refused(**more) -> list[tuple[str, str]]:
    with pytest.raises(RuleError) as caught:
        publish(NOW, **more)
    return [(problem.path, problem.message) for problem in caught.value.problems]


def test_nested_definition_is_pinned_and_followed_when_it_is_published_again():
    nest("base")
    nest("left", "base")
    nest("right", "base")
    nest("top", "left", "right")
    assert DefinitionVersion.objects.get(definition__slug="left").document["rule"]["all"][0] == {
        "definition": {"slug": "base", "version": 1}
    }
    nest("base", rule={"count": {"event": "Invite Sent", "at_least": 7}})
    rules = {rule.slug: rule for rule in definitions.live_rules()}
    assert {slug: rule.number for slug, rule in rules.items()} == {"base": 2, "left": 2, "right": 2, "top": 2}
    live = Definition.objects.get(slug="top").live_version
    assert live is not None
    assert live.document["rule"]["all"][:2] == [
        {"definition": {"slug": "left", "version": 2}},
        {"definition": {"slug": "right", "version": 2}},
    ]
    assert (live.reason, live.english[:53]) == (
        "“Base” v2 was published.",
        "An account qualifies when it qualifies for “Left”, qu",
    )
    paths = [leaf.path for leaf in leaves(rules["top"].doc.rule, subject="account")]
    assert "/rule/all/0/definition/rule/all/0/definition/rule/count" in paths
    assert nest("base", rule={"count": {"event": "Invite Sent", "at_least": 7}}).number == 2
    assert DefinitionVersion.objects.count() == 8


def test_reading_what_is_live_costs_one_query_however_much_is_nested(django_assert_num_queries):
    nest("base")
    with django_assert_num_queries(1):
        definitions.live_rules()
    nest("left", "base")
    nest("top", "left")
    with django_assert_num_queries(1):
        definitions.live_rules()


def test_only_live_definitions_can_be_asked_for(admin):
    assert refused(slug="a", rule={"not": {"definition": "b"}}) == [
        ("/rule/not/definition", "expected a definition that is live; “b” is not")
    ]
    archived = nest("b")
    nest("a", "b")
    definitions.archive(definition_id=archived.definition_id, by=admin, now=NOW)
    pinned = {"definition": {"slug": "b", "version": 1}}
    assert publish(NOW, slug="a", name="A", rule={"any": [pinned, ACTIVE]}).number == 2  # as it was pinned
    assert [rule.slug for rule in definitions.live_rules()] == ["a"]
    assert [path for path, _ in refused(slug="c", rule={"definition": "b"})] == ["/rule/definition"]
    assert [path for path, _ in refused(slug="c", rule={"definition": {"slug": "b", "version": 2}})] == [
        "/rule/definition"
    ]


def test_cycles_are_refused_however_they_close():
    assert refused(slug="a", rule={"definition": "a"}) == [("/rule/definition", "a definition cannot ask for itself")]
    nest("a")
    nest("b", "a")
    nest("c", "b")
    message = "expected a definition that does not follow from this definition; “c” does, through “B”, “C”"
    assert refused(slug="a", name="A", rule={"any": [ACTIVE, {"definition": "c"}]}) == [
        ("/rule/any/1/definition", message)
    ]
    assert refused(slug="a", name="A", motion={"rule": {"definition": "b"}})[0][0] == "/motion/rule/definition"


def test_cycles_through_a_stage_are_refused():
    nest("reader", rule={"stage": {"reached": "activated"}})
    assert refused(slug="writer", purpose="activation", rule={"definition": "reader"}) == [
        (
            "/rule/definition",
            "expected a definition that does not follow from this definition; “reader” does, through “Reader”",
        )
    ]
    nest("writer", purpose="activation")
    nest("asks", "reader")
    found = refused(slug="writer", purpose="activation", rule={"definition": "asks"})
    assert [path for path, _ in found] == ["/rule/definition"]
    assert refused(slug="writer", purpose="activation", rule={"users_who": {"at_least": 1, "rule": ACTIVE}},
                   motion={"rule": {"definition": "writer"}})  # fmt: skip


def test_a_cycle_through_an_archived_definition_is_refused_too(admin):
    reader = nest("reader", rule={"stage": {"reached": "activated"}})
    nest("asks", "reader")
    definitions.archive(definition_id=reader.definition_id, by=admin, now=NOW)
    found = refused(slug="writer", purpose="activation", rule={"definition": "asks"})
    assert [path for path, _ in found] == ["/rule/definition"]


def test_a_rule_about_people_cannot_ask_for_a_definition_about_accounts():
    nest("team")
    nest("person", level="user")
    message = "“team” is about accounts: a rule about people cannot ask for it"
    assert refused(slug="x", level="user", rule={"not": {"definition": "team"}}) == [("/rule/not/definition", message)]
    assert nest("y", "person", "team").number == 1
    nest("z", "person", level="user")
    told = "“Z” asks for this definition, and then: “person” is about accounts: a rule about people cannot ask for it"
    assert refused(slug="person", name="Person", rule=ACTIVE) == [("", told)]
    assert Definition.objects.get(slug="person").level == "user"


def test_what_is_nested_may_not_grow_without_end():
    nest("base", rule={"all": [ACTIVE] * 50})
    nest("twice", rule={"all": [{"definition": "base"}, {"definition": "base"}]})
    assert refused(slug="more", rule={"all": [{"definition": "twice"}, {"definition": "twice"}]}) == [
        ("/rule", "expected at most 200 conditions with those of nested definitions, found 206")
    ]
    for number, slug in enumerate("abcd"):
        nest(slug, *"abcd"[number - 1 : number])
    assert nest("e", "d").number == 1
    assert refused(slug="f", rule={"definition": "e"}) == [
        ("/rule", "expected at most 4 definitions inside one another")
    ]
    nest("few", rule={"all": [ACTIVE] * 45})
    nest("four", rule={"all": [{"definition": "few"}] * 4})
    told = "“Four” asks for this definition, and then: expected at most 200 conditions with those of nested definitions"
    assert refused(slug="few", name="Few", rule={"all": [ACTIVE] * 50}) == [("", f"{told}, found 204")]


def test_version_says_how_many_accounts_it_has_not_reached():
    for n in range(3):
        make_account(f"Acme {n}")
    version = publish(NOW)
    assert freshness.of(None, now=NOW).to_follow == {version.definition_id: 3}
    sweep(NOW)
    assert freshness.of(None, now=NOW).to_follow == {version.definition_id: 0}


def test_text_that_cannot_be_read_is_left_out_and_stops_nobody():
    publish(NOW)
    unreadable = publish(NOW, slug="later", name="Later")
    DefinitionVersion.objects.filter(pk=unreadable.pk).update(document={"slug": "later", "rule": {"dream": {}}})
    use(make_account(recorded_at=NOW), "Invite Sent", at=NOW, count=3)
    sweep(NOW)
    assert list(Qualification.objects.values_list("definition__slug", flat=True)) == ["team-expansion"]


def test_what_nests_a_text_that_cannot_be_read_is_left_out_too():
    publish(NOW)
    unreadable = nest("base")
    nest("top", "base")
    DefinitionVersion.objects.filter(pk=unreadable.pk).update(document={"slug": "base", "rule": {"dream": {}}})
    assert [rule.slug for rule in definitions.live_rules()] == ["team-expansion"]


# --- the command ----------------------------------------------------------------------------------------


def define(tmp_path, content, capsys) -> str:
    path = tmp_path / "rules.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content, indent=1))
    call_command("define", str(path))
    return capsys.readouterr().out


def test_define_publishes_one_or_a_list(tmp_path, capsys):
    assert define(tmp_path, document(), capsys).startswith("team-expansion v1: ")
    out = define(tmp_path, [document(), document(slug="second", name="Second")], capsys)
    assert [line.split(":")[0] for line in out.splitlines()] == ["team-expansion v1", "second v1"]


def test_define_names_path_and_line_and_publishes_nothing(tmp_path, capsys):
    bad = document(slug="bad", rule={"count": {"event": "Invite Sent", "at_least": "three", "window": "ever"}})
    with pytest.raises(CommandError) as caught:
        define(tmp_path, [document(), bad], capsys)
    first, last = str(caught.value).splitlines()
    text = (tmp_path / "rules.json").read_text().splitlines()
    line = next(n for n, content in enumerate(text, start=1) if '"three"' in content)
    assert f"rules.json:{line}:" in first
    assert ": /1/rule/count/at_least: expected a whole number" in first
    assert last == "Nothing was published."
    assert Definition.objects.count() == 0


def test_define_publishes_nothing_when_the_second_of_a_list_makes_a_cycle(tmp_path, capsys):
    active = document(slug="active", name="Active", purpose="activation", rule={"stage": {"reached": "pql"}})
    with pytest.raises(CommandError) as caught:
        define(tmp_path, [active, document(rule={"stage": {"reached": "activated"}})], capsys)
    assert ": /1/rule/stage: " in str(caught.value)
    assert Definition.objects.count() == 0


def test_define_says_where_a_file_is_not_json(tmp_path, capsys):
    with pytest.raises(CommandError, match=r"rules\.json:2:3: not JSON"):
        define(tmp_path, '{"slug": "x",\n  nope}', capsys)


def test_define_prints_the_schema(capsys):
    call_command("define", "--schema")
    assert json.loads(capsys.readouterr().out)["title"] == "plgops definition"
    with pytest.raises(CommandError, match="Which FILE.json"):
        call_command("define")


def test_define_says_what_is_unchanged_and_what_is_empty(tmp_path, capsys):
    define(tmp_path, document(), capsys)
    out = define(tmp_path, [document(), document(slug="second", name="Second")], capsys).splitlines()
    assert out[0] == "team-expansion v1: unchanged, so nothing was published"
    assert out[1].startswith("second v1: ") and "unchanged" not in out[1]
    with pytest.raises(CommandError, match=r"rules\.json: the list is empty"):
        define(tmp_path, [], capsys)


def test_define_does_not_ignore_a_file_beside_schema(tmp_path):
    path = tmp_path / "rules.json"
    path.write_text(json.dumps(document()))
    with pytest.raises(CommandError, match="--schema takes no FILE"):
        call_command("define", str(path), "--schema")
    assert Definition.objects.count() == 0


def test_define_says_that_a_file_is_missing(tmp_path):
    with pytest.raises(CommandError, match="cannot be read"):
        call_command("define", str(tmp_path / "none.json"))


# --- constraints ----------------------------------------------------------------------------------------


def refused_by_the_database(name: str, make) -> None:
    with pytest.raises(IntegrityError) as caught, transaction.atomic():
        make()
    assert name in str(caught.value) or "UNIQUE constraint failed" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "values"),
    [("definition_purpose_known", {"purpose": "fun"}), ("definition_level_known", {"level": "galaxy"})],
)
def test_database_refuses_definitions_that_cannot_be(name, values):
    values = {"purpose": "pql", "level": "account"} | values
    refused_by_the_database(name, lambda: Definition.objects.create(slug="x", name="X", created_at=NOW, **values))


def test_database_refuses_a_second_definition_of_a_slug():
    publish(NOW)
    refused_by_the_database(
        "slug", lambda: Definition.objects.create(slug="team-expansion", name="X", purpose="pql", created_at=NOW)
    )


def test_database_refuses_versions_that_cannot_be():
    version = publish(NOW)
    values = {"definition": version.definition, "document": {}, "english": "", "published_at": NOW}
    refused_by_the_database("definition_version_once", lambda: DefinitionVersion.objects.create(number=1, **values))
    refused_by_the_database("definition_version_from_one", lambda: DefinitionVersion.objects.create(number=0, **values))


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("qualification_closed_with_cause", {"closed_at": NOW}),
        ("qualification_closed_with_cause", {"close_cause": "lapsed"}),
        ("qualification_close_cause_known", {"close_cause": "boredom", "closed_at": NOW}),
        ("qualification_cause_known", {"cause": "whim"}),
        ("qualification_release_known", {"release": "perhaps"}),
    ],
)
def test_database_refuses_episodes_that_cannot_be(name, values):
    version, account = publish(NOW), make_account()
    values = {"cause": "event", "release": "live"} | values
    refused_by_the_database(
        name,
        lambda: Qualification.objects.create(
            account=account, definition=version.definition, version=version, opened_at=NOW, **values
        ),
    )


def test_database_refuses_a_second_open_episode():
    version, account = publish(NOW), make_account()
    values = {"account": account, "definition": version.definition, "version": version, "opened_at": NOW}
    first = Qualification.objects.create(cause="event", **values)
    refused_by_the_database("qualification_open_once", lambda: Qualification.objects.create(cause="event", **values))
    Qualification.objects.filter(pk=first.pk).update(closed_at=NOW, close_cause="lapsed")
    Qualification.objects.create(cause="event", **values)
