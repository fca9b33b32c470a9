"""The script in a page of another origin, under that page's own content security policy, in a real browser."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from django.utils import timezone

from accounts import sources
from accounts.models import UserKey
from scoring import firing, playbook
from scoring.models import Play, PlayRun, PromptView
from tests.factories.scoring import make_account, make_user, publish, sweep, use

PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Product</title></head><body>
<main><h1>Product</h1><button id="mine">My own button</button></main>
<script async src="{host}/v1/prompts.js" {attributes}></script></body></html>"""


@pytest.fixture
def shown(admin):
    """`shown(style="modal", …)`: a prompt that is due for kim; its run."""

    def _shown(*, moment: str = "", **content: str) -> PlayRun:
        now = timezone.now()
        publish(now)
        words = {"headline": "Seats are full", "body": "There is room in the next plan.", "button": "See plans"}
        values = {"content": words | {"url": "/plans"} | content, "priority": 150, "moment": moment}
        wanted = playbook.Wanted("Seats", Play.objects.get().definition, "prompt", values=values)
        play = playbook.create(wanted, by=admin, now=now)
        playbook.move(play_id=play.pk, verb="start", by=admin, now=now)
        account = make_account("Lumen Analytics", recorded_at=now)
        UserKey.objects.create(key="u:kim", user=make_user(account, "kim"))
        sweep(now)
        use(account, "Invite Sent", at=timezone.now(), count=3)
        sweep(timezone.now())
        firing.decide_due(now=timezone.now())
        return PlayRun.objects.get(play=play, status="fired")

    return _shown


@pytest.fixture
def product(chromium, live_server, admin) -> Iterator:
    """`product(…)`: a page of the customer's product, served by another origin; `said` is what its console said."""
    source, key = sources.create_source(name="App", by=admin, now=timezone.now())
    _, secret = sources.new_signing_secret(source_id=source.pk, by=admin, now=timezone.now())
    pages: dict[str, str] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = pages.get(self.path, "<!doctype html><title>Plans</title><h1>Plans</h1>").encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            policy = f"default-src 'none'; script-src {live_server.url}; connect-src {live_server.url}"
            self.send_header("Content-Security-Policy", policy + "; require-trusted-types-for 'script'")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    context = chromium.new_context(reduced_motion="reduce")

    def _product(*, token: str | None = None, more: str = "", down: bool = False):
        token = sources.user_token(secret, "kim") if token is None else token
        attributes = f'data-key="{key}" data-user="kim" data-token="{token}" {more}'
        pages["/"] = PAGE.format(host=live_server.url, attributes=attributes)
        page = context.new_page()
        page.set_default_timeout(10_000)
        page.said = []
        page.on("console", lambda message: page.said.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: page.said.append(str(error)))
        # not “networkidle”: what is posted while a page is left keeps it from ever being so
        if down:
            page.route("**/v1/prompts?*", lambda route: route.abort())
        with page.expect_event("requestfailed" if down else "response", lambda one: "/v1/prompts?" in one.url):
            page.goto(f"http://127.0.0.1:{server.server_port}/")
        page.wait_for_timeout(200)
        return page

    yield _product
    context.close()
    server.shutdown()
    server.server_close()


def until_kept(page, **kept: bool) -> PromptView:
    """The view, once what was posted has arrived."""
    for _ in range(50):
        view = PromptView.objects.filter(**{f"{name}__isnull": not given for name, given in kept.items()}).first()
        if view is not None:
            return view
        page.wait_for_timeout(100)
    raise AssertionError(f"never kept: {kept}, {list(PromptView.objects.values())}")


def test_a_dialog_is_shown_answered_and_kept_under_a_strict_policy(product, shown):
    run = shown(style="modal")
    page = product()
    dialog = page.get_by_role("dialog", name="Seats are full")
    dialog.wait_for()
    assert dialog.evaluate("e => getComputedStyle(e).borderRadius") == "12px"  # styled, without an inline style
    assert until_kept(page, first_seen_at=True).run == run
    page.keyboard.press("Escape")
    assert dialog.count() == 0
    until_kept(page, dismissed_at=True)
    with page.expect_event("response", lambda one: "/v1/prompts?" in one.url):
        page.reload()
    page.wait_for_timeout(200)
    assert page.get_by_role("dialog").count() == 0
    assert page.said == []


def test_a_click_is_kept_while_the_page_is_left(product, shown):
    shown(style="banner")
    page = product()
    page.get_by_role("link", name="See plans").click()
    page.get_by_role("heading", name="Plans").wait_for()
    assert until_kept(page, clicked_at=True).dismissed_at is None
    assert page.said == []


def test_a_banner_takes_no_focus_and_gives_it_back(product, shown):
    shown(style="banner")
    page = product(more='data-dismiss="Nicht jetzt"')
    page.get_by_role("region", name="Seats are full").wait_for()
    page.locator("#mine").focus()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.shadowRoot?.activeElement?.textContent") == "Nicht jetzt"
    page.keyboard.press("Enter")
    assert page.get_by_role("region").count() == 0
    assert page.evaluate("document.activeElement.id") == "mine"


def test_what_belongs_to_a_moment_comes_when_it_is_asked_for(product, shown):
    shown(moment="feature_gate", style="modal")
    page = product()
    assert page.get_by_role("dialog").count() == 0
    assert page.evaluate('plgopsPrompts.show("feature_gate").then(prompt => prompt.headline)') == "Seats are full"
    assert page.get_by_role("dialog").is_visible()


def test_a_wrong_token_and_a_host_that_is_down_leave_the_page_alone(product, shown):
    shown(style="modal")
    refused = product(token="0" * 64)
    assert refused.get_by_role("dialog").count() == 0
    assert [words for words in refused.said if "401" not in words] == []
    down = product(down=True)
    assert down.evaluate("plgopsPrompts.show('')") is None
    assert down.get_by_role("dialog").count() == 0
    down.locator("#mine").click()
    assert not [words for words in down.said if "Uncaught" in words or "TypeError" in words]
