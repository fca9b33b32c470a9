"""What a message says, in the form of each channel. Pure.

The content is the same for all: a title, a line under it, and items, each with a headline, the lines of why, and its
links. Whoever makes the content (scoring) knows nothing of Slack; this knows nothing of handoffs.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

MOST_ITEMS = 20  # told one by one in a message; the rest is counted. Slack takes 50 blocks.
SLACK_TEXT = 2_900  # letters of a Slack section; it takes 3,000
WHY_LINES = 8  # of an item that stands alone
WHY_IN_BUNDLE = 3  # of an item among others


@dataclass(frozen=True, slots=True)
class Item:
    """One thing to tell."""

    kind: str  # handoff_opened
    at: str  # ISO 8601
    subject: str  # whom it is about: the account's name
    headline: str  # what happened, in words that begin small: “came into the inbox”
    why: Sequence[str] = ()
    owner: str = ""  # who has it; empty: nobody
    url: str = ""
    claim_url: str = ""
    data: dict[str, Any] = field(default_factory=dict)  # for programs: ids


@dataclass(frozen=True, slots=True)
class Content:
    """What one message says."""

    title: str
    items: Sequence[Item]
    more: int = 0  # beyond these items, told by their number alone
    lead: str = ""
    settings_url: str = ""  # where the recipient chooses what to hear

    def stored(self) -> dict[str, Any]:
        """As plain JSON."""
        return asdict(self)


def content_of(stored: dict[str, Any]) -> Content:
    """What `Content.stored` gave."""
    items = [Item(**item) for item in stored["items"]]
    return Content(**{**stored, "items": items})


def slack(content: Content) -> dict[str, Any]:
    """Body for a Slack incoming webhook; `text` is what a notification shows."""
    blocks: list[dict[str, Any]] = []
    if _many(content):
        blocks.append({"type": "header", "text": {"type": "plain_text", "text": content.title[:150]}})
    if content.lead:
        blocks.append(_section(_slack_escaped(content.lead)))
    for item in content.items[:MOST_ITEMS]:
        name = _slack_escaped(item.subject)
        lines = [f"*<{item.url}|{name}>*" if item.url else f"*{name}*"]
        lines[0] += f" {_slack_escaped(item.headline)}"
        lines += [f"• {_slack_escaped(line)}" for line in _why(item, content)]
        if owner := _owner(item):
            lines.append(f"_{_slack_escaped(owner)}_")
        blocks.append(_section("\n".join(lines)))
        if item.claim_url:
            blocks.append(
                {
                    "type": "actions",
                    "elements": [
                        {
                            "type": "button",
                            "text": {"type": "plain_text", "text": f"Claim {item.subject}"[:75]},
                            "url": item.claim_url,
                            "style": "primary",
                        }
                    ],
                }
            )
    footer = _more(content) + ([f"<{content.settings_url}|What you hear of>"] if content.settings_url else [])
    if footer:
        blocks.append({"type": "context", "elements": [{"type": "mrkdwn", "text": " · ".join(footer)}]})
    return {"text": _slack_escaped(content.title), "blocks": blocks[:50], "unfurl_links": False, "unfurl_media": False}


def teams(content: Content) -> dict[str, Any]:
    """Body for a Teams workflow that posts an adaptive card when a webhook request is received."""
    body: list[dict[str, Any]] = (
        [_block(_plain(content.title), weight="Bolder", size="Medium")] if _many(content) else []
    )
    if content.lead:
        body.append(_block(_plain(content.lead)))
    actions: list[dict[str, Any]] = []
    for item in content.items[:MOST_ITEMS]:
        body.append(_block(f"**{_plain(item.subject)}** {_plain(item.headline)}", separator=bool(body)))
        if why := _why(item, content):
            body.append(_block("\n".join(f"- {_plain(line)}" for line in why), spacing="Small"))
        if owner := _owner(item):
            body.append(_block(_plain(owner), isSubtle=True, spacing="Small"))
        here = [{"type": "Action.OpenUrl", "title": f"Claim {item.subject}", "url": item.claim_url}] * bool(
            item.claim_url
        ) + [{"type": "Action.OpenUrl", "title": "Open in the inbox", "url": item.url}] * bool(item.url)
        if _many(content):
            body.append({"type": "ActionSet", "actions": here})
        else:
            actions += here
    if more := _more(content):
        body.append(_block(" ".join(more), isSubtle=True))
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": body,
        "actions": actions,
    }
    return {
        "type": "message",
        "attachments": [
            {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}
        ],
    }


def mail_text(content: Content) -> str:
    """The plain text of an e-mail."""
    paragraphs = [content.lead] if content.lead else []
    for item in content.items[:MOST_ITEMS]:
        lines = [f"{item.subject} {item.headline}", *(f"  - {line}" for line in _why(item, content))]
        lines += [owner] if (owner := _owner(item)) else []
        lines += [f"Open:  {item.url}"] if item.url else []
        lines += [f"Claim: {item.claim_url}"] if item.claim_url else []
        paragraphs.append("\n".join(lines))
    paragraphs += [" ".join(more)] if (more := _more(content)) else []
    if content.settings_url:
        paragraphs.append(f"What you hear of, and when: {content.settings_url}")
    return "\n\n".join(paragraphs) + "\n"


def mail_html(content: Content) -> str:
    """The same as simple HTML: no images, no styles that a mail program would drop, nothing loaded."""
    parts = [f"<p>{_h(content.lead)}</p>"] if content.lead else []
    for item in content.items[:MOST_ITEMS]:
        parts.append(f"<h2 style='font-size:16px;margin:24px 0 4px'>{_h(item.subject)} {_h(item.headline)}</h2>")
        if why := _why(item, content):
            parts.append("<ul>" + "".join(f"<li>{_h(line)}</li>" for line in why) + "</ul>")
        if owner := _owner(item):
            parts.append(f"<p style='color:#555'>{_h(owner)}</p>")
        links = [f"<a href='{_h(item.claim_url)}'><b>Claim {_h(item.subject)}</b></a>"] if item.claim_url else []
        links += [f"<a href='{_h(item.url)}'>Open in the inbox</a>"] if item.url else []
        parts.append(f"<p>{' &nbsp; '.join(links)}</p>")
    parts += [f"<p>{_h(' '.join(more))}</p>"] if (more := _more(content)) else []
    if content.settings_url:
        parts.append(f"<p style='color:#555'><a href='{_h(content.settings_url)}'>What you hear of, and when</a></p>")
    inner = "\n".join(parts)
    return (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>"
        f"<title>{_h(content.title)}</title></head>"
        f"<body style='font-family:sans-serif;font-size:15px;line-height:1.5;max-width:640px'>\n{inner}\n</body></html>"
    )


def event(content: Content) -> dict[str, Any]:
    """Body of a webhook: one fact, as Standard Webhooks has it (type, timestamp, data)."""
    item = content.items[0]
    return {
        "type": item.kind.replace("_", ".", 1),
        "timestamp": item.at,
        "data": {
            **item.data,
            "subject": item.subject,
            "headline": item.headline,
            "why": list(item.why),
            "owner": item.owner or None,
            "url": item.url,
        },
    }


def _many(content: Content) -> bool:
    return len(content.items) > 1


def _why(item: Item, content: Content) -> list[str]:
    most = WHY_IN_BUNDLE if _many(content) else WHY_LINES
    left = len(item.why) - most
    return [*item.why[:most], *([f"and {left} more"] if left > 0 else [])]


def _owner(item: Item) -> str:
    return f"With {item.owner}" if item.owner else ""


def _more(content: Content) -> list[str]:
    left = content.more + max(len(content.items) - MOST_ITEMS, 0)
    return [f"And {left:,} more."] if left > 0 else []


def _section(text: str) -> dict[str, Any]:
    # verbatim: otherwise Slack makes a link of #channel, and calls @channel
    return {"type": "section", "text": {"type": "mrkdwn", "text": text[:SLACK_TEXT], "verbatim": True}}


def _slack_escaped(text: str) -> str:
    """An account named `<!channel>` must not call everybody."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _block(text: str, **more: Any) -> dict[str, Any]:
    return {"type": "TextBlock", "text": text, "wrap": True, **more}


def _plain(text: str) -> str:
    """Without what a card takes for Markdown: an account's name is no link."""
    return "".join(f"\\{letter}" if letter in "\\[]()*_`<>" else letter for letter in text)


def _h(text: str) -> str:
    return html.escape(text, quote=True)
