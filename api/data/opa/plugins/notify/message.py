"""The text of a message, and its forms: Slack's, Teams', JSON, and e-mail as text and HTML.

Whatever a task has written is shown as it is: in none of the forms it becomes markup, a link or a mention.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from opa.plugins.notify.notice import Notice

SHOWN = 10
"""Kinds of failures that a message shows."""
LONGEST_TITLE = 150
LARGEST_CARD = 20_000
"""Bytes of a card for Teams, which refuses messages of more than about 28 KB."""

_VERBS = {"failed": "failed", "dead": "was given up", "missed": "was not sent in time"}
_COUNTED = {"failed": "failed {} times", "dead": "was given up {} times", "missed": "was not sent in time {} times"}
_MARKS = re.compile(r"\{\{")


@dataclass(frozen=True)
class Part:
    """One kind of failure in a message.

    Attributes:
        title: which task, and what became of it how often.
        lines: what is known of it.
        link: where the console shows it; empty where no address of it is known.
    """

    title: str
    lines: tuple[str, ...]
    link: str = ""


@dataclass(frozen=True)
class Message:
    """What a target is sent."""

    project: str
    title: str
    parts: tuple[Part, ...]
    rest: str
    notices: tuple[Notice, ...]
    more: int


def message_of(notices: Sequence[Notice], more: int, project: str, console_url: str = "") -> Message:
    """The message about these failures, those that there are most of first.

    Args:
        more: failures of which only the number is known.
        console_url: the address of the console, with https://; empty where it is not known.
    """
    ordered = sorted(notices, key=lambda notice: (-notice.count, notice.first, notice.task))
    count = sum(notice.count for notice in notices) + more
    title = _title(ordered[0]) if len(ordered) == 1 and not more else f"{count:,} failures"
    rest = _rest(ordered[SHOWN:], more)
    shown = tuple(_part(notice, console_url) for notice in ordered[:SHOWN])
    return Message(project, _short(f"{project}: {title}"), shown, rest, tuple(ordered), more)


def _rest(left: Sequence[Notice], more: int) -> str:
    unshown = sum(notice.count for notice in left) + more
    return f"And {unshown:,} more failures of other kinds: opa tasks runs --failed" if unshown else ""


def as_text(message: Message) -> str:
    """As plain text, for e-mail."""
    blocks = ["\n".join([part.title, *(f"  {line}" for line in _lines(part))]) for part in message.parts]
    return "\n\n".join([message.title, *blocks, *([message.rest] if message.rest else [])]) + "\n"


def as_html(message: Message) -> str:
    """As HTML, for e-mail."""
    blocks = []
    for part in message.parts:
        lines = "<br>".join(html.escape(line) for line in part.lines)
        link = f'<br><a href="{html.escape(part.link)}">Open it in the console</a>' if part.link else ""
        blocks.append(f"<h3>{html.escape(part.title)}</h3><p>{lines}{link}</p>")
    rest = f"<p>{html.escape(message.rest)}</p>" if message.rest else ""
    return f"<!doctype html><html><body><h2>{html.escape(message.title)}</h2>{''.join(blocks)}{rest}</body></html>\n"


def as_slack(message: Message) -> dict[str, Any]:
    """As Slack's incoming webhooks take it: blocks of plain text, in which nothing is markup."""
    blocks: list[dict[str, Any]] = [{"type": "header", "text": _plain(_short(message.title))}]
    for part in message.parts:
        blocks.append({"type": "section", "text": _plain("\n".join([part.title, *part.lines]))})
        if part.link:
            blocks.append({"type": "context", "elements": [{"type": "mrkdwn", "text": f"<{part.link}|Open it>"}]})
    if message.rest:
        blocks.append({"type": "section", "text": _plain(message.rest)})
    # What a notification shows is read as markup.
    return {"text": _for_mrkdwn(message.title), "blocks": blocks}


def as_teams(message: Message) -> dict[str, Any]:
    """As Teams' webhooks take it: an adaptive card of text runs, in which nothing is markup.

    Of texts that are long, it has fewer kinds of failures.
    """
    content = _card(message, message.parts, message.rest)
    for shown in range(len(message.parts) - 1, 0, -1):
        if len(as_body(content)) <= LARGEST_CARD:
            break
        content = _card(message, message.parts[:shown], _rest(message.notices[shown:], message.more))
    return content


def as_body(content: Mapping[str, Any]) -> bytes:
    """A form as it is posted: JSON in UTF-8. Half a character, which an error may have, is a question mark."""
    return json.dumps(content, ensure_ascii=False).encode("utf-8", "replace")


def _card(message: Message, parts: Sequence[Part], rest: str) -> dict[str, Any]:
    body: list[dict[str, Any]] = [_run(message.title, weight="Bolder", size="Large")]
    for part in parts:
        body.append(_run(part.title, weight="Bolder"))
        body.extend(_run(line) for line in part.lines)
        if part.link:
            action = {"type": "Action.OpenUrl", "title": "Open it in the console", "url": part.link}
            body.append({"type": "ActionSet", "actions": [action]})
    if rest:
        body.append(_run(rest))
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": body,
    }
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}
    return {"type": "message", "attachments": [attachment]}


def as_json(message: Message) -> dict[str, Any]:
    """For programs."""
    notices = [notice.as_dict() for notice in message.notices]
    return {"project": message.project, "title": message.title, "failures": notices, "more": message.more}


def _title(notice: Notice) -> str:
    what = f"schedule {notice.schedule}" if notice.kind == "missed" else notice.task
    done = _VERBS[notice.kind] if notice.count == 1 else _COUNTED[notice.kind].format(f"{notice.count:,}")
    return f"{what} {done}"


def _part(notice: Notice, console_url: str) -> Part:
    lines = []
    if notice.plugin:
        lines.append(f"Plugin: {notice.plugin}")
    if notice.kind == "missed":
        lines.append(f"Task: {notice.task}")
        lines.append(f"Was due: {_moment(notice.first)}" + _until(notice))
    else:
        if notice.schedule:
            lines.append(f"Sent by the schedule: {notice.schedule}")
        lines.append(f"First: {_moment(notice.first)}{_until(notice)}" if notice.count > 1 else _moment(notice.first))
    if notice.problem:
        lines.append(f"{'Last error' if notice.count > 1 and notice.kind == 'failed' else 'Reason'}: {notice.problem}")
    if notice.frame:
        lines.append(f"At: {notice.frame}")
    if notice.kind == "missed":
        lines.append("See it: opa schedule list")
    elif notice.id:
        seen_by = f"opa tasks show {notice.id}" if notice.kind == "failed" else "opa tasks dead"
        lines.append(f"{'Last id' if notice.count > 1 else 'Id'}: {notice.id}")
        lines.append(f"See it: {seen_by}")
    link = f"{console_url.rstrip('/')}/runs/{_in_url(notice.id)}" if console_url and notice.id else ""
    return Part(_title(notice), tuple(lines), link)


def _until(notice: Notice) -> str:
    return f", last: {_moment(notice.last)}" if notice.count > 1 else ""


def _moment(at: float) -> str:
    try:
        return f"{datetime.fromtimestamp(at, tz=UTC):%Y-%m-%d %H:%M:%S} UTC"
    except (ValueError, OverflowError, OSError):
        return "at an unknown time"


def _in_url(text: str) -> str:
    from urllib.parse import quote

    return quote(text, safe="")


def _lines(part: Part) -> tuple[str, ...]:
    return (*part.lines, f"In the console: {part.link}") if part.link else part.lines


def _short(text: str) -> str:
    return text if len(text) <= LONGEST_TITLE else f"{text[: LONGEST_TITLE - 1]}…"


def _plain(text: str) -> dict[str, Any]:
    return {"type": "plain_text", "text": text, "emoji": False}


def _for_mrkdwn(text: str) -> str:
    """With the characters of Slack's markup as entities, or as ones that look like them."""
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return text.translate({ord("*"): "∗", ord("_"): "_\u200b", ord("~"): "∼", ord("`"): "'", ord("@"): "@\u200b"})


def _run(text: str, **style: str) -> dict[str, Any]:
    # Cards look for {{DATE(…)}} in any text.
    inline = {"type": "TextRun", "text": _MARKS.sub("{\u200b{", text), **style}
    return {"type": "RichTextBlock", "inlines": [inline]}
