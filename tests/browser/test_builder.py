"""The builder in real Chromium: by keyboard alone, by mouse, by touch; nothing is lost, and axe has nothing to say."""

import json

import pytest
from django.test import Client
from django.utils import timezone
from playwright.sync_api import Page, expect

from accounts import lake
from accounts.models import Account, UsageDay
from scoring import definitions
from scoring.json_lines import pretty
from scoring.models import Definition
from scoring.rules.parse import parse_definition
from scoring.rules.problems import RuleError
from tests.browser.conftest import PHONE
from tests.factories import desk

EDIT = "/definitions/steady-use/edit/"
EARLY = {"first_days": 14, "of": "user"}
EVERYTHING = {
    "slug": "steady-use",
    "name": "Steady use",
    "purpose": "pql",
    "level": "account",
    "rule": {"all": [
        {"count": {"event": ["Invite Sent", "Report Exported"], "between": [2, 5], "window": "ever"}},
        {"distinct": {"event": "Invite Sent", "of": "invitee_email", "in": [1, 2, 3], "window": {"any_days": 7}}},
        {"any": [
            {"users": {"event": "*", "at_least": 3, "window": {"from": "2026-01-01", "to": 20700}}},
            {"days": {"event": "*", "exactly": 5, "window": {"to": "2026-12-31"}}},
        ]},
        {"at_least": 2, "of": [
            {"recency": {"event": "Signed In", "not_for_days": 14}},
            {"first": {"event": "Report Exported", "window": {"first_days": 30, "of": "account"}}},
            {"value": {"event": "Report Exported", "measure": "max", "at_most": -1.25, "window": "billing_month"}},
        ]},
        {"not": {"not": {"value": {"event": "Report Exported", "share_of_limit": 0.815, "limit": "reports"}}}},
        {"change": {"event": "*", "days": 7, "factor_at_most": 0.5, "base_at_least": 10}},
        {"sequence": {"steps": ["Invite Sent", ["Workflow Completed", "Signed In"]], "within_days": 7}},
        {"trait": {"name": "country", "in": ["Germany", 5, True]}},
        {"trait": {"name": "plan", "changed_within_days": 30}},
        {"trait": {"name": "seats", "is_set": False}},
        {"stage": {"since": "signed_up", "at_least_days": 10, "at_most_days": 90}},
        {"not": {"stage": {"reached": "claimed", "window": {"last_days": 30}}}},
        {"definition": {"slug": "team-expansion", "version": 1}},
        {"users_who": {"at_most": 4, "rule": {"any": [
            {"count": {"event": "Signed In", "at_least": 1, "window": EARLY}},
            {"trait": {"name": "plan", "of": "account", "exactly": "free"}},
        ]}}},
        {"score": {"signals": [
            {"part": "fit", "points": 20, "when": {"trait": {"name": "employees", "at_least": 50}}},
            {"part": "usage", "points": -2, "per": {"days": {"event": "*"}}, "half_life_days": 7, "cap": 30},
            {"part": "intent", "points": 5, "per": {"distinct": {"event": "Invite Sent", "of": "invitee_email",
                                                                  "window": {"last_days": 14}}}},
        ], "at_least": 20, "bands": {"hot": 80, "warm": 60}}},
    ]},
    "grace_days": 0,
    "motion": {"rule": {"not": {"any": [{"trait": {"name": "seats", "at_most": 5}}]}}},
}  # fmt: skip


@pytest.fixture
def two(transactional_db):
    """Team expansion and Steady use, with two companies in the lake."""
    now = timezone.now()
    found = desk.staff_definitions(now)
    for number in range(2):
        desk.company(number, now=now)
    lake.refresh(now=now)
    return found


def document(page: Page):
    """What the text says now."""
    return json.loads(page.locator("#id_text").input_value())


def rule(page: Page):
    return document(page)["rule"]


def node(page: Page, path: str):
    return page.locator(f'[data-stop="{path}"]')


def current(page: Page) -> str:
    return page.evaluate("document.activeElement.dataset.stop ?? document.activeElement.dataset.k ?? ''")


def keys(page: Page, *pressed: str) -> None:
    for key in pressed:
        page.keyboard.press(key)


# --- by keyboard -------------------------------------------------------------------------------------------------


def test_a_definition_by_keyboard_alone(open_page, admin, two):
    page = open_page(admin, "/definitions/new/")
    node(page, "/rule").focus()
    keys(page, "End", "a")  # after the last condition
    expect(page.get_by_role("menu", name="Add a condition")).to_be_visible()
    keys(page, "d", "i", "Enter")  # Different values
    events = page.get_by_role("combobox", name="Event")
    expect(events).to_be_focused()
    page.keyboard.type("invi")
    expect(page.get_by_role("option", name="Invite Sent")).to_be_visible()
    keys(page, "ArrowDown", "Enter", "Tab")
    expect(page.get_by_role("combobox", name="Property")).to_be_focused()
    keys(page, "ArrowDown")
    expect(page.get_by_role("option", name="invitee_email")).to_be_visible()
    keys(page, "ArrowDown", "Enter", "Tab", "Tab")
    expect(page.get_by_role("textbox", name="Number", exact=True)).to_be_focused()
    keys(page, "ArrowUp", "ArrowUp")
    expect(page.locator(".reads")).to_have_text(
        "Reads: “Invite Sent” with at least 5 different values of invitee_email in the last 14 days"
    )
    keys(page, "Escape")
    assert current(page) == "/rule/all/3"
    keys(page, "Alt+ArrowUp", "n", "ArrowUp")
    assert current(page) == "/rule/all/1"
    keys(page, "Delete")
    asked = {"event": "Invite Sent", "of": "invitee_email", "at_least": 5, "window": {"last_days": 14}}
    assert rule(page)["all"][1:] == [{"not": {"distinct": asked}}, {"not": {"stage": {"reached": "paid"}}}]
    keys(page, "Control+z")
    assert len(rule(page)["all"]) == 4
    keys(page, "Control+Shift+z")
    assert len(rule(page)["all"]) == 3

    page.get_by_label("Name").focus()
    keys(page, "Control+a")
    page.keyboard.type("Few invites")
    page.get_by_label("Slug").focus()
    keys(page, "Control+a")
    page.keyboard.type("few-invites")
    expect(page.locator("#summ")).to_have_attribute("data-tone", "")
    keys(page, "Control+Enter")
    expect(page.get_by_role("dialog", name="Publish version 1")).to_contain_text("This is its first version")
    keys(page, "Control+Enter")
    expect(page.locator("#toasts")).to_contain_text("Published version 1")
    assert Definition.objects.get(slug="few-invites").live_version.document["rule"] == {
        "all": [
            {"trait": {"name": "plan", "in": ["free", "trial"]}},
            {"not": {"distinct": asked}},
            {"not": {"stage": {"reached": "paid"}}},
        ]
    }


def test_the_slug_follows_the_name_until_one_writes_it(open_page, admin, two):
    page = open_page(admin, "/definitions/new/")
    name, slug = page.get_by_label("Name"), page.get_by_label("Slug")
    name.fill("Équipe & Co. (Q3)")
    expect(slug).to_have_value("equipe-co-q3")
    assert document(page)["slug"] == "equipe-co-q3"
    name.fill("Steady use")
    expect(slug).to_have_value("steady-use-2")  # the server knows that the other one is taken
    expect(page.locator("#summ")).to_have_attribute("data-tone", "")
    slug.fill("steady-use")
    expect(page.get_by_label("Also to correct")).to_contain_text("This slug is taken by Steady use; choose another.")
    expect(slug).to_have_attribute("aria-invalid", "true")
    name.fill("Another name")
    expect(slug).to_have_value("steady-use")
    slug.fill("my-own")
    expect(page.get_by_label("Also to correct")).to_be_empty()
    assert (document(page)["name"], document(page)["slug"]) == ("Another name", "my-own")


NEVER = {**desk.STEADY_USE, "rule": {"days": {"event": "*", "at_least": 14, "window": {"last_days": 1}}}}


@pytest.fixture
def worked(two, rep):
    """Both companies handed over by Steady use: one waits in the inbox, Dana has claimed the other."""
    first, second = Account.objects.order_by("pk")
    desk.handoff(first, two[1], now=timezone.now())
    desk.handoff(second, two[1], now=timezone.now(), owner=rep)
    lake.refresh(now=timezone.now(), whole=True)


def test_publishing_says_whom_it_changes_and_what_is_unknown(open_page, admin, worked):
    page = open_page(admin, EDIT)
    page.get_by_role("tab", name="JSON").click()
    never = {"any": [NEVER["rule"], {"count": {"event": "Nowhere", "at_least": 1}}]}
    page.locator("#id_text").fill(pretty(NEVER))
    page.get_by_role("tab", name="Builder").click()
    page.get_by_role("tab", name="JSON").click()
    page.locator("#id_text").fill(json.dumps(NEVER | {"rule": never}))
    page.get_by_role("tab", name="Builder").click()
    expect(page.locator("#preview")).to_contain_text("0 of 2 accounts match")
    page.locator("#to-publish").click()
    dialog = page.get_by_role("dialog", name="Publish the next version")
    for words in ("0 of 2 accounts match", "0 enter", "2 leave", "1 unclaimed handoff would close", "“Nowhere”: "):
        expect(dialog).to_contain_text(words)
    expect(dialog.locator(".badge", has_text="0 enter")).to_have_attribute("data-tone", "line")
    expect(dialog.locator(".badge", has_text="2 leave")).to_have_attribute("data-tone", "bad")
    dialog.get_by_role("button", name="Publish the next version").click()
    expect(dialog).to_contain_text("Say why")  # the page came again, and the dialog with its numbers
    for words in ("0 of 2 accounts match", "2 leave", "1 claimed stay", "“Nowhere”: "):
        expect(dialog).to_contain_text(words)
    dialog.get_by_text("Cancel", exact=True).click()
    expect(dialog).to_be_hidden()
    page.get_by_role("tab", name="Builder").click()
    page.get_by_role("button", name="Undo").first.click()
    assert document(page)["rule"] == never["any"][0]


def test_going_back_says_whom_it_changes(open_page, admin, worked, two):
    definitions.publish(document=NEVER, by=None, now=timezone.now(), reason="Stricter")
    definitions.publish(document=desk.STEADY_USE, by=None, now=timezone.now(), reason="As before")
    page = open_page(admin, "/definitions/steady-use/versions/2/3/")
    page.get_by_role("button", name="Back to version 2").click()
    dialog = page.get_by_role("dialog", name="Back to version 2?")
    for words in ("0 of 2 accounts match", "0 enter", "2 leave", "1 unclaimed handoff would close", "1 claimed stay"):
        expect(dialog).to_contain_text(words)


def test_the_room_that_sales_has_is_kept_while_the_rule_changes(open_page, admin, two):
    page = open_page(admin, EDIT)
    page.get_by_label("Reps").fill("3")
    page.get_by_label("PQLs each works a week").fill("17")
    with page.expect_response(lambda r: r.url.endswith("/preview/") and "exact" in (r.request.post_data or "")):
        page.get_by_label("Reps").press("Enter")
    page.get_by_role("button", name="Use 4").click()
    expect(page.locator("#english")).to_contain_text("at least 4 different days")
    expect(page.locator("#pv-rate tr", has_text="Now")).to_contain_text("4")
    expect(page.get_by_label("Reps")).to_have_value("3")
    expect(page.get_by_label("PQLs each works a week")).to_have_value("17")


def test_moving_in_and_out_of_groups_by_keyboard(open_page, admin, two):
    page = open_page(admin, "/definitions/team-expansion/edit/")
    before = rule(page)["all"]
    node(page, "/rule/all/1").focus()
    keys(page, "g")  # a group of its own
    assert rule(page)["all"][1] == {"all": [before[1]]}
    keys(page, "ArrowDown", "ArrowDown", "Alt+ArrowRight")  # the next one goes into it
    assert rule(page)["all"][1] == {"all": [before[1], before[2]]}
    assert current(page) == "/rule/all/1/all/1"
    keys(page, "ArrowLeft", "Tab", "Enter")  # the group's second kind
    assert rule(page)["all"][1] == {"any": [before[1], before[2]]}
    keys(page, "ArrowRight", "ArrowDown", "Alt+ArrowLeft")
    assert rule(page)["all"] == [before[0], {"any": [before[1]]}, before[2], before[3], before[4]]
    assert current(page) == "/rule/all/2"
    keys(page, "Alt+ArrowDown", "d", "m")
    menu = page.get_by_role("menu", name="Condition")
    expect(menu).to_be_visible()
    assert rule(page)["all"][3:5] == [before[2], before[2]]
    keys(page, "r", "Enter")  # Remove
    expect(menu).to_have_count(0)
    assert rule(page)["all"][2:4] == [before[3], before[2]]


def test_single_keys_can_be_off(open_page, admin, two):
    admin.preferences = {"keys": "off"}
    admin.save()
    page = open_page(admin, EDIT)
    page.evaluate("document.documentElement.dataset.keys = 'off'")
    node(page, "/rule").focus()
    keys(page, "n")
    assert "not" not in rule(page)
    keys(page, "Enter")  # no letter
    expect(page.locator(".cond-e:visible")).to_have_count(1)


# --- by mouse and by touch ---------------------------------------------------------------------------------------


def test_a_tree_by_mouse(open_page, admin, two):
    page = open_page(admin, "/definitions/team-expansion/edit/")
    before = rule(page)["all"]
    page.get_by_role("button", name="Any of", exact=True).first.click()
    assert list(rule(page)) == ["any"]
    page.get_by_role("button", name="At least", exact=True).first.click()
    page.get_by_label("At least how many of them").fill("3")
    assert (rule(page)["at_least"], rule(page)["of"]) == (3, before)
    page.get_by_role("button", name="None of", exact=True).first.click()
    assert rule(page) == {"not": {"any": before}}
    page.get_by_role("button", name="All of", exact=True).first.click()

    page.locator("[data-stop='/rule/all/2'] [data-f=compare]").click()  # “at least 5”: what is typed replaces the 5
    expect(page.get_by_role("textbox", name="Number", exact=True)).to_be_focused()
    page.keyboard.type("7")
    assert rule(page)["all"][2]["count"]["at_least"] == 7
    page.get_by_role("textbox", name="Number", exact=True).fill("5")
    page.get_by_label("How many", exact=True).select_option("between")
    page.get_by_role("textbox", name="And", exact=True).fill("9")
    assert rule(page)["all"][2]["count"] == {
        "event": "Workflow Completed", "between": [5, 9], "window": {"last_days": 14}
    }  # fmt: skip
    page.get_by_label("Window", exact=True).select_option("dates")
    page.get_by_label("From", exact=True).last.fill("2026-02-01")
    assert rule(page)["all"][2]["count"]["window"] == {"from": "2026-02-01"}
    page.get_by_role("button", name="Done").click()

    page.locator("[data-node='/rule/all/0']").get_by_role("button", name="Remove this condition").click()
    assert rule(page)["all"][0] == before[1]
    expect(page.locator("#toasts")).to_contain_text("Removed a condition")
    page.locator("#toasts").get_by_role("button", name="Undo").click()
    assert rule(page)["all"][0] == before[0]
    assert rule(page)["all"][2]["count"]["between"] == [5, 9]  # what was typed before stands

    page.get_by_role("button", name="Group", exact=True).first.click()
    assert rule(page)["all"][5] == {"all": []}
    empty = "Nothing is in this group yet: add a condition, or remove the group."
    expect(page.locator(".cond-p[data-tone=bad]")).to_have_text(empty)
    page.locator("[data-node='/rule/all/5']").get_by_role("button", name="Condition", exact=True).click()
    page.get_by_role("menuitem", name="Recency").click()
    assert rule(page)["all"][5] == {"all": [{"recency": {"event": "*", "within_days": 7}}]}
    expect(page.locator(".cond-p[data-tone=bad]")).to_have_count(0)


def test_dragging_by_the_grip(open_page, admin, two):
    page = open_page(admin, "/definitions/team-expansion/edit/")
    before = rule(page)["all"]

    def drag(path, to, where):
        grip = page.locator(f'[data-grip="{path}"]').bounding_box()
        box = page.locator(f'[data-node="{to}"]').bounding_box()
        page.mouse.move(grip["x"] + 8, grip["y"] + 14)
        page.mouse.down()
        page.mouse.move(box["x"] + 60, box["y"] + 10, steps=4)
        page.mouse.move(box["x"] + 60, box["y"] + (2 if where == "before" else box["height"] - 2), steps=3)
        expect(page.locator(".drop-mark")).to_be_visible()
        page.mouse.up()

    drag("/rule/all/0", "/rule/all/2", "after")
    assert rule(page)["all"] == [before[1], before[2], before[0], *before[3:]]
    drag("/rule/all/4", "/rule/all/0", "before")
    assert rule(page)["all"] == [before[4], before[1], before[2], before[0], before[3]]
    page.get_by_role("button", name="Undo").first.click()
    page.get_by_role("button", name="Undo").first.click()
    assert rule(page)["all"] == before
    assert page.get_by_role("button", name="Undo").first.is_disabled()


def test_people_scores_and_nested_definitions(open_page, admin, two):
    page = open_page(admin, EDIT)

    def add(name):
        page.locator("#rule").get_by_role("button", name="Condition", exact=True).last.click()
        page.get_by_role("menuitem", name=name).click()

    page.get_by_role("button", name="What to do with this condition").first.click()
    page.get_by_role("menuitem", name="Put into a group: all of").click()
    add("Definition")
    field = page.get_by_role("combobox", name="Slug of the definition")
    field.fill("team")
    page.get_by_role("option", name="Team expansion").click()
    expect(page.locator(".reads")).to_have_text("Reads: Qualifies for “Team expansion”")
    add("Score")
    page.get_by_role("button", name="Points if …").click()
    assert rule(page)["all"][2]["score"]["signals"][1] == {
        "part": "fit", "points": 20, "when": {"trait": {"name": "employees", "at_least": 50}}
    }  # fmt: skip
    page.get_by_role("textbox", name="Points").fill("-5")
    page.get_by_role("combobox", name="For", exact=True).select_option("intent")
    assert rule(page)["all"][2]["score"]["signals"][1]["points"] == -5
    page.locator("[data-stop='/rule/all/2/score/signals/0']").click()
    page.get_by_label("Counts", exact=True).select_option("decay")
    assert rule(page)["all"][2]["score"]["signals"][0] == {
        "part": "usage", "points": 10, "per": {"days": {"event": "*"}}, "cap": 100, "half_life_days": 7
    }  # fmt: skip
    page.get_by_role("button", name="Done").click()
    page.locator("[data-stop='/rule/all/2']").click()
    page.get_by_role("button", name="Band").click()
    page.get_by_label("From points").fill("80")
    assert rule(page)["all"][2]["score"]["bands"] == {"hot": 80}
    page.get_by_role("button", name="Done").click()

    page.locator("[data-node='/rule'] > fieldset > .add").get_by_role("button", name="Condition").click()
    page.get_by_role("menuitem", name="People for whom").click()
    people = page.locator("[data-node='/rule/all/3/users_who/rule']")
    people.get_by_role("button", name="Condition", exact=True).click()
    menu = page.get_by_role("menu", name="Add a condition")
    expect(menu.get_by_role("menuitem", name="People for whom")).to_have_count(0)  # not inside another
    menu.get_by_role("menuitem", name="Event count").click()
    page.get_by_label("Window", exact=True).select_option("first_days")
    expect(page.get_by_label("After signup of")).to_have_value("user")
    parse_definition(document(page))
    expect(page.locator("#elsewhere li, .cond-p[data-tone=bad]")).to_have_count(0)


def test_by_touch_on_a_phone(open_page, admin, two, violations):
    page = open_page(admin, EDIT, phone=True)
    page.get_by_role("button", name="What to do with this condition").tap()
    page.get_by_role("menuitem", name="Put into a group: any of").tap()
    page.get_by_role("button", name="Condition", exact=True).tap()
    page.get_by_role("menuitem", name="Trait").tap()
    page.get_by_role("combobox", name="Trait").fill("seats")
    page.get_by_label("Is", exact=True).select_option("at_least")
    page.get_by_role("textbox", name="Number").fill("10")
    assert rule(page)["any"][1] == {"trait": {"name": "seats", "at_least": 10}}
    assert violations(page) == []
    page.get_by_role("button", name="Done").tap()
    page.get_by_role("button", name="What to do with this condition").nth(1).tap()
    page.get_by_role("menuitem", name="Move up").tap()
    assert "trait" in rule(page)["any"][0]
    page.get_by_role("button", name="Publish", exact=True).tap()
    page.get_by_label("Why this change").fill("Or many seats")
    assert violations(page) == []
    page.get_by_role("button", name="Publish the next version").tap()
    expect(page.locator("#toasts")).to_contain_text("Published version 2")


# --- nothing is lost ---------------------------------------------------------------------------------------------


def test_opening_and_looking_changes_nothing(open_page, admin, two):
    definitions.publish(document=EVERYTHING, by=admin, now=timezone.now(), reason="All of it")
    page = open_page(admin, EDIT)
    stored = Definition.objects.get(slug="steady-use").live_version.document
    was = page.locator("#id_text").input_value()
    assert json.loads(was) == stored
    stops = page.locator("#tree .cond-t")
    assert stops.count() == 25
    for number in range(stops.count()):  # every form is drawn
        stops.nth(number).click()
        expect(page.locator(".cond-e:visible")).to_have_count(1)
        page.keyboard.press("Escape")
    assert page.locator("#id_text").input_value() == was
    expect(page.locator("#tree")).not_to_contain_text("Not understood")
    expect(page.locator("#tree")).not_to_contain_text("undefined")
    # a change somewhere leaves everything else as it is
    page.get_by_label("Grace days").fill("4")
    assert document(page) == stored | {"grace_days": 4}


def test_what_the_builder_does_not_know_stays(open_page, admin, two):
    page = open_page(admin, EDIT)
    odd = {"rule": {"all": [{"new_kind": {"x": 1}}, {"count": {"event": "*", "at_least": 1, "also": [1]}}, 7]}}
    page.get_by_role("tab", name="JSON").click()
    page.locator("#id_text").fill(json.dumps(desk.STEADY_USE | odd | {"note": None}))
    page.get_by_role("tab", name="Builder").click()
    expect(page.get_by_text("Not understood")).to_have_count(2)
    node(page, "/rule/all/1").click()
    page.get_by_role("textbox", name="Number").fill("2")
    assert document(page) == desk.STEADY_USE | {"note": None} | {
        "rule": {"all": [odd["rule"]["all"][0], {"count": {"event": "*", "at_least": 2, "also": [1]}}, 7]}
    }


def test_the_text_and_the_tree_are_in_step(open_page, admin, two):
    page = open_page(admin, EDIT)
    page.get_by_role("tab", name="Builder").press("ArrowRight")
    text = page.get_by_label("The definition as JSON")
    expect(text).to_be_visible()
    page.keyboard.press("Tab")
    text.fill(text.input_value().replace('"at_least": 5', '"at_least": 11'))
    expect(page.locator("#english")).to_contain_text("at least 11 different days")
    page.get_by_role("tab", name="Builder").click()
    expect(node(page, "/rule")).to_contain_text("at least 11")
    page.get_by_role("tab", name="JSON").click()
    text.fill('{"slug": 1')
    expect(page.get_by_label("Also to correct")).to_contain_text("Line 1")
    expect(page.locator(".gutter li[data-wrong]")).to_have_text("1")
    page.get_by_role("tab", name="Builder").click()
    expect(page.locator("#no-tree")).to_be_visible()
    page.get_by_role("button", name="Correct the JSON").click()
    expect(text).to_have_value('{"slug": 1')


SHUFFLE = """async ([start, seed]) => {
  const tree = await import("/static/ui/builder/tree.js");
  let state = seed;
  const random = (n) => (state = (state * 1103515245 + 12345) % 2147483648) % n;
  const paths = (doc) => [...tree.walk(doc, "/rule"), ...tree.walk(doc, "/motion/rule")];
  const bare = (doc) => paths(doc).filter((path) => !tree.isSignal(path) && !tree.below(doc, path).length)
    .map((path) => JSON.stringify(tree.get(doc, path)))
    .filter((text) => !/^({"not":)*{"(all|any|of)":\\[\\]}/.test(text)).sort();
  let doc = structuredClone(start);
  const before = JSON.stringify(bare(doc));
  let moved = 0;
  for (let i = 0; i < 1500; i += 1) {
    const all = paths(doc);
    const path = all[random(all.length)];
    const step = ["up", "down", "into", "out"][random(4)];
    if (!tree.canMove(doc, path, step)) continue;
    const copy = structuredClone(doc);
    const node = tree.get(copy, path);
    const to = tree.move(copy, path, step);
    if (tree.get(copy, to) !== node) return `${step} ${path}: another node is at ${to}`;
    if (JSON.stringify(bare(copy)) !== before) return `${step} ${path}: something is lost`;
    const again = JSON.parse(tree.pretty(copy));
    if (JSON.stringify(again) !== JSON.stringify(copy)) return `${step} ${path}: written otherwise`;
    doc = copy;
    moved += 1;
  }
  return moved > 300 ? "" : `only ${moved} moves`;
}"""


def nested(groups, inner):
    return {"all": [nested(groups - 1, inner)]} if groups else inner


def test_levels_are_counted_as_the_language_counts_them(open_page, admin, two):
    page = open_page(admin, EDIT)
    deepest = "async (doc) => (await import('/static/ui/builder/tree.js')).deepest(doc)"
    signed_in = {"count": {"event": "Signed In", "at_least": 1}}
    people = {"users_who": {"at_least": 1, "rule": {"not": {"any": [signed_in]}}}}
    score = {"score": {"signals": [{"part": "fit", "points": 1, "when": {"any": [signed_in]}}], "at_least": 1}}
    for inner, own in ((signed_in, 1), ({"not": signed_in}, 2), (people, 4), (score, 3)):
        for groups in (0, 8 - own, 9 - own):
            document = {"slug": "deep", "name": "Deep", "purpose": "risk", "rule": nested(groups, inner)}
            assert page.evaluate(deepest, document) == groups + own
            try:
                parse_definition(document)
                fits = True
            except RuleError:
                fits = False
            assert fits == (groups + own <= 8)


def test_nothing_is_offered_that_would_stand_too_deep(open_page, admin, two, violations_by_theme):
    page = open_page(admin, EDIT)
    page.get_by_role("tab", name="JSON").click()
    innermost = {"all": [{"count": {"event": "Signed In", "at_least": 1}}, {"count": {"event": "*", "at_least": "x"}}]}
    document = {"slug": "steady-use", "name": "Steady use", "purpose": "pql", "rule": nested(6, innermost)}
    page.get_by_label("The definition as JSON").fill(json.dumps(document))
    page.get_by_role("tab", name="Builder").click()
    path = "/rule" + "/all/0" * 6
    expect(page.get_by_role("button", name="Group", exact=True).and_(page.locator(":disabled"))).to_have_count(1)
    expect(page.locator(f'[data-node="{path}"]')).to_contain_text("Groups stand at most 8 deep.")
    # what is wrong stands beside its condition, in words of its form
    wrong = page.locator(f'[data-words="{path}/all/1"]')
    expect(wrong).to_have_text("At least: a whole number from 1 to 1,000,000,000.")
    page.locator(f'[data-stop="{path}/all/0"]').press("g")
    expect(page.locator("#toasts")).to_contain_text("Groups stand at most 8 deep.")
    assert page.get_by_label("The definition as JSON").input_value().count('"all"') == 7
    page.locator(f'[data-stop="{path}/all/0"]').press("m")
    expect(page.get_by_role("menuitem", name="Put into a group: any of")).to_be_disabled()
    expect(page.get_by_role("menuitem", name="Put into a group: any of")).to_contain_text("at most 8 deep")
    page.keyboard.press("Escape")
    assert violations_by_theme(page) == {"light": [], "dark": []}


def test_conditions_are_counted_as_the_language_counts_them(open_page, admin, two):
    page = open_page(admin, EDIT)
    counted = "async (doc) => (await import('/static/ui/builder/tree.js')).conditions(doc)"
    for room in (-1, 0, 1):  # everything that the language has, filled up to its limit, to one less and to one more
        document = json.loads(json.dumps(EVERYTHING))
        del document["rule"]["all"][12]  # a nested definition has conditions of its own, which do not count here
        have = page.evaluate(counted, document)
        document["rule"]["all"].append({"any": [{"count": {"event": "*", "at_least": 1}}] * (64 + room - have)})
        assert page.evaluate(counted, document) == 64 + room
        if room < 1:
            parse_definition(document)
        else:
            with pytest.raises(RuleError, match="at most 64 conditions, found 65"):
                parse_definition(document)


def test_nothing_is_offered_beyond_as_many_conditions_as_a_definition_may_have(
    open_page, admin, two, violations_by_theme
):
    page = open_page(admin, EDIT)
    page.get_by_role("tab", name="JSON").click()
    signed_in = {"count": {"event": "Signed In", "at_least": 1}}
    score = {"score": {"signals": [{"part": "usage", "points": 1, "per": {"count": {"event": "*"}}}], "at_least": 1}}
    document = {"slug": "steady-use", "name": "Steady use", "purpose": "pql"}
    document["rule"] = {"all": [score, {"any": [signed_in] * 61}]}  # 63: one more fits, two do not
    page.get_by_label("The definition as JSON").fill(json.dumps(document))
    page.get_by_role("tab", name="Builder").click()
    root = page.locator('[data-node="/rule"] > fieldset > .add')
    root.get_by_role("button", name="Condition").click()
    menu = page.get_by_role("menu", name="Add a condition")
    expect(menu.get_by_role("menuitem", name="Event count")).to_be_enabled()
    expect(menu.locator("[role=menuitem]:disabled")).to_have_text(
        ["People for whom …A definition has at most 64 conditions.", "ScoreA definition has at most 64 conditions."]
    )
    menu.get_by_role("menuitem", name="Event count").click()
    page.keyboard.press("Escape")
    for button in ("Condition", "Points for each …", "Points if …", "Only accounts that …"):
        found = page.get_by_role("button", name=button, exact=True)
        assert found.count() > 0
        for one in found.all():
            expect(one).to_be_disabled()
    expect(root).to_contain_text("A definition has at most 64 conditions.")
    expect(root.get_by_role("button", name="Group")).to_be_enabled()  # what is there can still be grouped
    path = "/rule/all/2"
    for key in ("a", "d"):
        node(page, path).press(key)
        expect(page.locator("#toasts .toast").last).to_contain_text("A definition has at most 64 conditions.")
        page.locator("#toasts .toast").last.get_by_role("button", name="Close this message").click()
    node(page, path).press("m")
    expect(page.get_by_role("menuitem", name="Duplicate")).to_be_disabled()
    expect(page.get_by_role("menuitem", name="Duplicate")).to_contain_text("at most 64 conditions")
    page.keyboard.press("Escape")
    expect(page.locator("#pv-near")).to_contain_text("Counted")  # what still loads is dimmed
    assert violations_by_theme(page) == {"light": [], "dark": []}
    node(page, path).press("Delete")
    expect(root.get_by_role("button", name="Condition")).to_be_enabled()
    expect(root).not_to_contain_text("at most 64")


@pytest.mark.parametrize("seed", [1, 7, 2026])
def test_no_move_loses_a_condition(open_page, admin, two, seed):
    page = open_page(admin, EDIT)
    assert page.evaluate(SHUFFLE, [EVERYTHING, seed]) == ""


def test_the_page_writes_json_as_the_server_does(open_page, admin, two):
    page = open_page(admin, EDIT)
    for written in (EVERYTHING, desk.TEAM_EXPANSION, {"a": [], "b": {}, "ü": ['"', "–"], "c": [1, -2.5, None, False]}):
        asked = "async (doc) => (await import('/static/ui/builder/tree.js')).pretty(doc)"
        assert page.evaluate(asked, written) == pretty(written)


def test_leaving_with_changes_asks_first(open_page, admin, two):
    page = open_page(admin, EDIT)
    asked = []
    page.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.accept()))
    page.goto("/definitions/")
    assert asked == []
    page.goto(EDIT)
    page.get_by_label("Grace days").fill("3")
    page.goto("/definitions/")
    assert asked == ["beforeunload"]


def test_only_the_newest_answer_is_shown(open_page, admin, two):
    page = open_page(admin, EDIT)
    held = []
    page.route("**/definitions/describe/", lambda route: held.append(route))
    number = page.get_by_label("Grace days")
    number.fill("3")
    page.wait_for_timeout(400)
    number.fill("nonsense")
    page.wait_for_timeout(400)
    assert len(held) == 2
    held[1].continue_()
    expect(number).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_label("Also to correct")).to_contain_text("Grace days")
    assert page.locator("#english").inner_text().startswith("One thing is missing")


def test_a_server_that_is_away_loses_nothing(open_page, admin, two):
    page = open_page(admin, EDIT)
    page.route("**/definitions/describe/", lambda route: route.abort())
    page.get_by_label("Grace days").fill("9")
    expect(page.locator("#english")).to_contain_text("Nothing is lost")
    assert document(page)["grace_days"] == 9


def test_without_a_script_the_json_is_published(chromium, live_server, admin, two):
    client = Client()
    client.force_login(admin)
    context = chromium.new_context(base_url=live_server.url, java_script_enabled=False)
    context.add_cookies([{"name": "sessionid", "value": client.cookies["sessionid"].value, "url": live_server.url}])
    page = context.new_page()
    page.goto(EDIT)
    text = page.get_by_label("The definition as JSON")
    text.fill(text.input_value().replace('"at_least": 5', '"at_least": 7'))
    page.get_by_role("button", name="Publish the next version").click()
    expect(page.get_by_role("alert")).to_contain_text("Say why")
    page.get_by_label("Why this change").fill("Seven")
    page.get_by_role("button", name="Publish the next version").click()
    expect(page.locator(".vers").first).to_contain_text("Seven")
    context.close()


# --- the preview beside it ---------------------------------------------------------------------------------------


def test_every_condition_says_how_many_it_leaves(open_page, admin, two):
    page = open_page(admin, EDIT)
    expect(page.locator("[data-count='/rule'] b")).to_have_text("2")
    page.get_by_role("button", name="What to do with this condition").click()
    page.get_by_role("menuitem", name="Not", exact=True).click()
    expect(page.locator("[data-count='/rule'] b")).to_have_text("0")
    expect(page.locator("#preview")).to_contain_text("0 of 2 accounts match")
    page.get_by_label("Grace days").fill("")  # 7 if left out
    page.get_by_label("Name").fill("")
    expect(page.locator("#stale")).to_contain_text("Of the draft before")
    page.get_by_role("button", name="Undo").first.click()
    page.get_by_role("tab", name="JSON").click()
    page.get_by_role("tab", name="Builder").click()
    expect(page.locator("[data-count='/rule'] b")).to_have_text("0")


def test_the_bar_of_a_condition_is_its_share_of_all_accounts(open_page, admin, two):
    UsageDay.objects.filter(account_id=Account.objects.order_by("pk")[0].pk).delete()
    lake.refresh(now=timezone.now(), whole=True)
    page = open_page(admin, EDIT)
    expect(page.locator("[data-count='/rule'] b")).to_have_text("1")
    expect(page.locator("[data-count='/rule'] .cond-bar i")).to_have_attribute("style", "width: 50%;")


def test_a_threshold_is_taken_over_from_the_preview(open_page, admin, two):
    page = open_page(admin, EDIT)
    use = page.get_by_role("button", name="Use 4")
    use.click()
    assert rule(page)["days"]["at_least"] == 4
    expect(page.locator("#english")).to_contain_text("at least 4 different days")


# --- versions ----------------------------------------------------------------------------------------------------


def test_comparing_and_going_back(open_page, admin, two):
    stricter = desk.STEADY_USE | {"rule": {"days": {"event": "*", "at_least": 8, "window": {"last_days": 14}}}}
    definitions.publish(document=stricter, by=admin, now=timezone.now(), reason="Stricter")
    page = open_page(admin, "/definitions/steady-use/")
    page.get_by_role("link", name="All versions").click()
    page.get_by_role("button", name="Compare the two").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("1 to 2")
    expect(page.locator(".changes")).to_contain_text("at least 5 → became at least 8")
    page.get_by_role("button", name="Back to version 1").click()
    page.get_by_label("Why", exact=True).fill("Too few")
    page.get_by_role("button", name="Publish it again").click()
    expect(page.locator("#toasts")).to_contain_text("Published version 3: what version 1 said")
    expect(page.locator(".vers").first).to_contain_text("Back to version 1: Too few")


# --- axe ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("phone", [False, True], ids=["desk", "phone"])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing(open_page, admin, two, violations, phone, theme):
    definitions.publish(document=EVERYTHING, by=admin, now=timezone.now(), reason="All of it")
    page = open_page(admin, "/definitions/new/", phone=phone, theme=theme)
    assert violations(page) == []
    page.goto(EDIT)
    page.wait_for_load_state("networkidle")
    assert page.evaluate("document.documentElement.scrollHeight <= innerHeight")  # only its parts scroll
    for button in ("a[href$='/versions/']", "#to-backtest", "#to-publish"):  # all of them, on a phone too
        box = page.locator(f"header.bar {button}").bounding_box()
        assert box and box["x"] + box["width"] <= page.viewport_size["width"], button
    node(page, "/rule/all/1").click()
    page.get_by_role("combobox", name="Property").click()
    expect(page.get_by_role("listbox", name="Property")).to_be_visible()
    assert violations(page) == []
    keys(page, "Escape", "Escape")
    page.get_by_role("button", name="What to do with this group").first.click()
    assert violations(page) == []
    keys(page, "Escape")
    page.get_by_label("Grace days").fill("4000")
    expect(page.get_by_label("Also to correct").get_by_role("listitem")).to_have_count(1)
    assert violations(page) == []
    keys(page, "Control+Enter")
    expect(page.get_by_role("dialog")).to_contain_text("not complete")
    assert violations(page) == []
    page.evaluate("removeEventListener('beforeunload', () => 0)")
    page.on("dialog", lambda dialog: dialog.accept())
    for path in ("/definitions/steady-use/versions/", "/definitions/steady-use/versions/1/2/"):
        page.goto(path)
        assert violations(page) == [], path
    assert not phone or page.viewport_size == PHONE
