"""The house rules that a machine can check."""

import inspect
import io
import re
from pathlib import Path

import pytest
from celery import current_app
from django.apps import apps
from django.conf import settings
from django.core.management import call_command
from django.db import models
from django.template import engines
from django.urls import URLPattern, URLResolver, get_resolver

from plgops.templatetags.ui import icon_names

ROOT = Path(__file__).resolve().parents[2]
APPS = ("plgops", "accounts", "scoring", "support")
MODELS = [model for app in APPS[1:] for model in apps.get_app_config(app).get_models()]


def sources(suffix, *folders):
    return [
        path for folder in folders for path in (ROOT / folder).rglob(f"*{suffix}") if "migrations" not in path.parts
    ]


# --- the database ---------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_no_migration_is_missing():
    call_command("makemigrations", "--check", "--dry-run", verbosity=0, stdout=io.StringIO())


def test_no_model_orders_itself():
    """Whoever needs an order says it, with something unique at its end."""
    assert [model.__name__ for model in MODELS if model._meta.ordering] == []


def test_logic_never_uses_automatic_times():
    """`now` is an argument everywhere: a field that sets itself cannot be told what time it is."""
    automatic = [
        f"{model.__name__}.{field.name}"
        for model in MODELS
        for field in model._meta.fields
        if getattr(field, "auto_now", False) or getattr(field, "auto_now_add", False)
    ]
    assert automatic == []


# `x_at` and `x_by`: the time may be known without the person (plgops itself did it), never the other way round,
# unless the person is set when they are chosen and the time when they act.
PAIRS = {
    ("AccountMerge", "merged"),
    ("AccountMerge", "undone"),
    ("ApiToken", "created"),
    ("ApiToken", "revoked"),
    ("Article", "updated"),
    ("ClaimLinkUse", "used"),
    ("CrmConflict", "resolved"),
    ("CrmConnection", "connected"),
    ("CsTask", "closed"),
    ("DefinitionVersion", "published"),
    ("Destination", "created"),
    ("Discovery", "asked"),
    ("Handoff", "closed"),
    ("ImportJob", "created"),
    ("NextTask", "done"),
    ("RoutingLadder", "published"),
    ("Play", "created"),
    ("Source", "created"),
}


def test_every_time_with_a_person_is_a_known_pair():
    found = set()
    for model in MODELS:
        names = {field.name for field in model._meta.fields}
        found |= {
            (model.__name__, n.removesuffix("_by")) for n in names if n.endswith("_by") and f"{n[:-3]}_at" in names
        }
    assert found == PAIRS


def test_whoever_did_something_has_a_time_beside_the_name():
    alone = [
        f"{model.__name__}.{field.name}"
        for model in MODELS
        for field in model._meta.fields
        if field.name.endswith("_by") and not any(f.name == f"{field.name[:-3]}_at" for f in model._meta.fields)
    ]
    assert alone == []


def test_every_constraint_and_index_has_a_name_of_its_own():
    names = [item.name for model in MODELS for item in (*model._meta.constraints, *model._meta.indexes)]
    assert sorted(names) == sorted(set(names))


def test_nothing_points_at_the_log():
    """The log can be partitioned by month only while no foreign key leads to it."""
    event = apps.get_model("accounts", "Event")
    assert [
        f"{model.__name__}.{field.name}"
        for model in apps.get_models()
        for field in model._meta.fields
        if isinstance(field, models.ForeignKey) and field.related_model is event
    ] == []


# --- the code -------------------------------------------------------------------------------------------------


def test_there_are_no_signals_and_no_drawers():
    forbidden = {"signals.py", "services.py", "utils.py", "helpers.py", "common.py", "misc.py"}
    assert [str(path.relative_to(ROOT)) for path in sources(".py", *APPS) if path.name in forbidden] == []


def test_nobody_listens_to_model_signals():
    listening = re.compile(r"\b(post_save|pre_save|post_delete|pre_delete|m2m_changed)\b")
    assert [str(path.relative_to(ROOT)) for path in sources(".py", *APPS) if listening.search(path.read_text())] == []


def test_the_environment_is_read_by_the_settings_only():
    """Two exceptions: where DJANGO_SETTINGS_MODULE is set, and what starts the processes."""
    reading = re.compile(r"os\.(environ|getenv)")
    allowed = {"plgops/lib/env.py", "plgops/run.py", "plgops/wsgi.py", "plgops/celery.py"}
    found = {str(path.relative_to(ROOT)) for path in sources(".py", *APPS) if reading.search(path.read_text())}
    assert found - allowed == set()


def test_verbs_never_import_tasks():
    importing = re.compile(r"^(from|import) .*\btasks\b", re.MULTILINE)
    assert [str(path.relative_to(ROOT)) for path in sources(".py", *APPS) if importing.search(path.read_text())] == []


def test_verbs_never_look_at_the_clock():
    """`now` comes from the edge: a view, a task, a command, the API, a page's context."""
    edges = re.compile(
        r"(^|/)(views|admin|management|templatetags|lib|rest|api)/|(tasks|api|admin|today|health|run)\.py$|plgops/"
    )
    looking = re.compile(r"timezone\.now\(\)|datetime\.now\(|\.utcnow\(|localtime\(\)|localdate\(\)")
    found = [
        str(path.relative_to(ROOT))
        for path in sources(".py", *APPS)
        if not edges.search(str(path.relative_to(ROOT))) and looking.search(path.read_text())
    ]
    assert found == []


def test_every_task_has_a_name_and_a_tail():
    """A name of its own (modules move), and `**kwargs`, so that a message of an older deploy is no error."""
    current_app.loader.import_default_modules()
    ours = {name: task for name, task in current_app.tasks.items() if name.split(".")[0] in APPS}
    assert [name for name in ours if not re.fullmatch(r"[a-z]+\.[a-z_]+", name)] == []
    tails = {n: [p.kind for p in inspect.signature(t.run).parameters.values()] for n, t in ours.items()}
    keyword_only = {inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.VAR_KEYWORD}
    assert [n for n, kinds in tails.items() if kinds[-1:] != [inspect.Parameter.VAR_KEYWORD]] == []
    assert [n for n, kinds in tails.items() if set(kinds) - keyword_only] == []


def test_every_scheduled_and_every_rung_task_exists():
    current_app.loader.import_default_modules()
    scheduled = {entry["task"] for entry in settings.CELERY_BEAT_SCHEDULE.values()}
    assert (scheduled | set(settings.DUE_CONSUMERS.values())) - set(current_app.tasks) == set()


def test_every_consumer_is_swept():
    scheduled = {entry["task"] for entry in settings.CELERY_BEAT_SCHEDULE.values()}
    assert set(settings.DUE_CONSUMERS.values()) - scheduled == set()


# --- the pages ------------------------------------------------------------------------------------------------


def test_every_template_compiles():
    backend = engines["django"]
    for path in (ROOT / "templates").rglob("*.html"):
        backend.get_template(str(path.relative_to(ROOT / "templates")))


def test_every_icon_exists():
    named = re.compile(r"{% icon \"([a-z0-9-]+)\"")
    used = {name for path in sources(".html", "templates") for name in named.findall(path.read_text())}
    assert used - icon_names() == set()


def test_no_template_has_inline_style_or_script():
    """The content security policy would ignore it."""
    inline = re.compile(r"<script(?![^>]*\bsrc=)[^>]*>|\sstyle=\"|\son[a-z]+=\"|javascript:")
    found = [str(path.relative_to(ROOT)) for path in sources(".html", "templates") if inline.search(path.read_text())]
    assert found == []


def test_comments_of_templates_end_on_their_line():
    """Django shows the two halves of any other as text."""
    lines = (line for path in sources(".html", "templates") for line in path.read_text().splitlines())
    assert [line for line in lines if line.count("{#") != line.count("#}")] == []


def test_nothing_comes_from_another_host():
    elsewhere = re.compile(
        r"src=\"https?://|<link[^>]*href=\"https?://|url\(\s*[\"']?https?://|@import\s+[\"']https?://"
    )
    files = sources(".html", "templates") + sources(".css", "static") + sources(".js", "static")
    assert [str(path.relative_to(ROOT)) for path in files if elsewhere.search(path.read_text())] == []


# --- the doors ------------------------------------------------------------------------------------------------

# Open without a log-in: the log-in itself, what monitors ask, claim links and the way out of letters, which are signed,
# and the APIs, which ask for keys.
OPEN = re.compile(r"^(login/|claim/|unsubscribe/|health/|v1/|api/|admin/)")


def patterns(resolver=None, prefix=""):
    for entry in (resolver or get_resolver()).url_patterns:
        route = prefix + str(entry.pattern).replace("^", "").replace("$", "")
        if isinstance(entry, URLResolver):
            yield from patterns(entry, route)
        elif isinstance(entry, URLPattern):
            yield route, entry


def example(route):
    """An address that the route takes."""
    route = re.sub(r"<int:\w+>", "1", route)
    route = re.sub(r"<slug:\w+>", "one", route)
    return "/" + re.sub(r"<path:\w+>|<\w+>", "one", route)


PAGES = sorted({route for route, _ in patterns() if not OPEN.match(route) and "(?" not in route})


@pytest.mark.django_db
@pytest.mark.parametrize("route", PAGES)
@pytest.mark.parametrize("method", ["get", "post"])
def test_every_page_needs_a_log_in(client, route, method):
    response = getattr(client, method)(example(route))
    assert response.status_code in (302, 405), route
    if response.status_code == 302:
        assert response.headers["Location"].startswith("/login/")


@pytest.mark.django_db
@pytest.mark.parametrize("route", [route for route in PAGES if not route.startswith(("logout", "password", "profile"))])
def test_who_has_no_role_changes_nothing(client_of, stranger, route):
    """Signed in is not enough: every page asks for a capability. Home and the frame show what one may see."""
    response = client_of(stranger).post(example(route))
    assert response.status_code in (403, 404, 405) or route in ("", "nav/counts/", "kit/", "palette/"), route


def test_every_url_has_one_name():
    names = [entry.name for route, entry in patterns() if entry.name and not route.startswith("admin/")]
    assert sorted(names) == sorted(set(names))
