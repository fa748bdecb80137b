from __future__ import annotations

import json
import sys
from types import SimpleNamespace
from typing import Any

from pydantic import BaseModel, ValidationError

from opa import TaskRun
from opa.plugins.notify.mail import as_mail
from opa.plugins.notify.message import as_body, as_html, as_json, as_slack, as_teams, as_text, message_of
from opa.plugins.notify.notice import Notice, of_run, together

EVIL = '<!channel> <@U1> @here *b* _i_ `c` [x](http://evil.example) <img src=x onerror=alert(1)> {{DATE(1)}} &amp; "'


def notice(**changes: Any) -> Notice:
    fields: dict[str, Any] = {
        "kind": "failed",
        "task": "reports.nightly",
        "plugin": "reports",
        "schedule": "",
        "first": 1796000000.0,
        "last": 1796000060.0,
        "id": "1c9f",
        "problem": "ValueError: no such page",
        "frame": "reports.py:12 in nightly",
        "count": 1000,
    }
    return Notice(**{**fields, **changes})


def test_a_message_says_which_task_how_often_when_why_where_and_how_to_see_it() -> None:
    assert as_text(message_of([notice()], 0, "Shop", "https://ops.example.org/opa/")) == (
        "Shop: reports.nightly failed 1,000 times\n"
        "\n"
        "reports.nightly failed 1,000 times\n"
        "  Plugin: reports\n"
        "  First: 2026-11-30 00:53:20 UTC, last: 2026-11-30 00:54:20 UTC\n"
        "  Last error: ValueError: no such page\n"
        "  At: reports.py:12 in nightly\n"
        "  Last id: 1c9f\n"
        "  See it: opa tasks show 1c9f\n"
        "  In the console: https://ops.example.org/opa/runs/1c9f\n"
    )


def test_of_many_kinds_the_most_frequent_are_shown_and_the_others_counted() -> None:
    kinds = [notice(task=f"reports.n{number}", count=number) for number in range(1, 16)]
    text = as_text(message_of(kinds, 7, "Shop"))
    assert text.startswith("Shop: 127 failures\n\nreports.n15 failed 15 times")
    assert text.count("Plugin:") == 10
    assert f"And {sum(range(1, 6)) + 7} more failures of other kinds: opa tasks runs --failed" in text


def test_a_missed_run_and_a_dead_letter_have_texts_of_their_own() -> None:
    missed = notice(kind="missed", schedule="nightly", count=1, id="", problem="no beat ran", frame="")
    dead = notice(kind="dead", count=1, problem="given up: delivery_limit", frame="")
    text = as_text(message_of([missed, dead], 0, "Shop"))
    assert "schedule nightly was not sent in time\n" in text
    assert "  Was due: 2026-11-30 00:53:20 UTC\n" in text
    assert "  See it: opa schedule list" in text
    assert "reports.nightly was given up\n" in text
    assert "  Reason: given up: delivery_limit\n" in text
    assert "  See it: opa tasks dead" in text


def test_nothing_that_a_task_writes_is_markup_in_any_form() -> None:
    message = message_of([notice(task=EVIL, problem=EVIL, frame=EVIL, plugin=EVIL, id=EVIL)], 0, EVIL)
    slack = as_slack(message)
    assert {block["text"]["type"] for block in slack["blocks"]} == {"plain_text"}
    assert not any(letter in slack["text"] for letter in "<>*`")
    assert "@here" not in slack["text"]
    card = as_teams(message)["attachments"][0]["content"]
    assert {block["type"] for block in card["body"]} == {"RichTextBlock"}
    assert {inline["type"] for block in card["body"] for inline in block["inlines"]} == {"TextRun"}
    assert "{{" not in json.dumps(card["body"])
    page = as_html(message)
    assert "<img" not in page
    assert "<a " not in page
    assert "&lt;img src=x" in page
    assert as_json(message)["failures"][0]["task"] == EVIL  # a program gets it as it is


def test_a_mail_has_one_subject_whatever_a_task_is_called() -> None:
    run = TaskRun("1\r\nBcc: x@example.org", "a\r\nBcc: x@example.org\x1b[31m\u202e", ended_at=1.0)
    manager: Any = SimpleNamespace(plugin_of_module=lambda _: None)
    target = {"FROM": "Ops <ops@example.org>", "TO": ["a@example.org", "b@example.org"]}
    mail = as_mail(target, message_of([of_run("dead", run, manager)], 0, "Shop"))
    assert mail["Bcc"] is None
    assert mail["Subject"] == "Shop: a  Bcc: x@example.org [31m  was given up"
    assert mail["To"] == "a@example.org, b@example.org"
    assert [part.get_content_type() for part in mail.iter_parts()] == ["text/plain", "text/html"]


def test_everything_stays_small_whatever_tasks_write() -> None:
    long = notice(task="t" * 9999, problem="p" * 99999, frame="f" * 9999)
    run = TaskRun("i" * 1000, "t" * 1000, error=ValueError("x" * 99999), ended_at=1.0)
    manager: Any = SimpleNamespace(plugin_of_module=lambda _: None)
    made = of_run("failed", run, manager)
    assert max(len(text) for text in (made.task, made.problem, made.id)) <= 300
    assert len(message_of([long], 0, "Shop").title) <= 150


def test_a_card_for_teams_has_as_many_kinds_as_it_takes() -> None:
    long = [notice(task=f"報告.{number}", problem="沒有" * 150, frame="頁" * 300, count=2) for number in range(12)]
    card = as_teams(message_of(long, 5, "Shop"))
    assert 10_000 < len(as_body(card)) <= 20_000
    text = as_body(card).decode()
    shown = text.count(" failed 2 times")
    assert 1 < shown < 10
    assert f"And {(12 - shown) * 2 + 5} more failures" in text
    few = as_body(as_teams(message_of([notice(task=f"shop.{number}") for number in range(12)], 0, "Shop"))).decode()
    assert few.count(" failed 1,000 times") == 10
    assert b"?" in as_body({"text": "\ud800"})


class Item(BaseModel):
    size: int


def test_errors_of_many_lines_are_told_by_their_type_and_are_one_kind() -> None:
    manager: Any = SimpleNamespace(plugin_of_module=lambda _: None)
    found = []
    for number in range(3):
        try:
            Item.model_validate({"size": f"x{number}"})
        except ValidationError as error:
            found.append(of_run("failed", TaskRun(str(number), "shop.buy", error=error, ended_at=1.0), manager))
    assert "ValidationError: 1 validation error for Item size Input should be a valid integer" in found[0].problem
    (made,) = together(found).values()
    assert made.count == 3
    lines = [
        of_run("failed", TaskRun("1", "shop.buy", error=ValueError(f"no\norder {number}"), ended_at=1.0), manager)
        for number in range(2)
    ]
    assert len(together(lines)) == 1


def test_a_notice_has_the_error_in_one_line_masked_and_the_frame_of_the_plugin() -> None:
    def inner() -> None:
        raise ValueError("first line\nwrong password=hunter2hunter2")

    try:
        inner()
    except ValueError as error:
        run = TaskRun("1", "shop.buy", "shop", error=error, ended_at=2.0, tries=3)
    line = sys._getframe().f_code.co_firstlineno + 2
    manager: Any = SimpleNamespace(plugin_of_module=lambda name: "shop" if name == __name__ else None)
    made = of_run("failed", run, manager)
    assert made.problem.startswith("ValueError: first line wrong password=")
    assert "hunter2" not in made.problem
    assert made.frame == f"test_message.py:{line} in inner"
    assert together([made, made, made])[made.field].count == 3
