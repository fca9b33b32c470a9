"""What a message says in each channel; names of accounts are never taken for markup."""

import json

from accounts.team import messages
from accounts.team.messages import Content, Item


def item(number=1, **values):
    return Item(
        **{
            "kind": "handoff_opened",
            "at": "2026-06-15T09:00:00Z",
            "subject": f"Acme {number}",
            "headline": "came into the inbox",
            "url": f"https://plgops.test/inbox/{number}/",
        }
        | values
    )


def test_an_accounts_name_is_never_markup():
    nasty = item(subject="<!channel> & *Co* [x](https://evil.test)", why=["<b>bold</b>"])
    content = Content(title="x", items=[nasty])
    assert "<!channel>" not in json.dumps(messages.slack(content))
    assert "[x](https" not in json.dumps(messages.teams(content))
    assert "<b>bold</b>" not in messages.mail_html(content)
    assert "&lt;b&gt;bold&lt;/b&gt;" in messages.mail_html(content)


def test_nothing_that_is_said_calls_or_links_anybody():
    """Also where it is not the account's name: in the title that a notification shows, in what happened, in who has it.

    Slack calls `@channel` and links `#general` in plain text unless it is told to take the text as it stands."""
    nasty = "<!channel> @channel #general [x](https://evil.test)"
    two = [item(n, subject=nasty, headline=nasty, owner=nasty, url="") for n in range(2)]
    for items in (two, two[:1]):
        content = Content(title=nasty, items=items, lead=nasty)
        told = messages.slack(content)
        marked = [block for block in told["blocks"] if block.get("text", {}).get("type") != "plain_text"]
        assert "<!channel>" not in json.dumps([told["text"], marked])
        texts = [block["text"] for block in told["blocks"] if block["type"] == "section"]
        assert texts and all(text["type"] == "mrkdwn" and text["verbatim"] is True for text in texts)
        assert "[x](https" not in json.dumps(messages.teams(content))


def test_a_bundle_tells_less_of_each_and_counts_the_rest():
    many = Content(title="30 alerts", items=[item(n, why=["one", "two", "three", "four", "five"]) for n in range(30)])
    body = messages.slack(many)
    assert len(body["blocks"]) <= 50
    assert "and 2 more" in str(body["blocks"][1])
    assert "And 10 more." in str(body["blocks"][-1])
    assert messages.mail_text(many).count("came into the inbox") == messages.MOST_ITEMS
    assert "And 10 more." in messages.mail_text(many)


def test_a_bundle_with_claim_links_stays_under_what_slack_takes():
    many = Content(title="t", items=[item(n, claim_url="https://x.test/") for n in range(30)], settings_url="https://s")
    blocks = messages.slack(many)["blocks"]
    assert len(blocks) <= 50
    assert "And 10 more." in str(blocks[-1])


def test_a_very_long_reason_is_cut_to_what_slack_takes():
    body = messages.slack(Content(title="t", items=[item(why=["x" * 5_000])]))
    assert max(len(block.get("text", {}).get("text", "")) for block in body["blocks"]) <= 3_000


def test_what_is_stored_is_read_again():
    content = Content(title="t", items=[item(why=["a"], data={"handoff_id": 1})], lead="l", settings_url="https://s")
    assert messages.content_of(json.loads(json.dumps(content.stored()))) == content
