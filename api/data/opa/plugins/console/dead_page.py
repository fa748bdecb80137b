"""The pages of all dead letters, and of one."""

from __future__ import annotations

from functools import partial
from math import ceil
from typing import TYPE_CHECKING, Any

from starlette.exceptions import HTTPException
from starlette.requests import Request

from opa import ComponentUnavailableError, OpaError, get_plugin_manager
from opa.plugins.console.page import Context
from opa.plugins.console.patience import NotYetError, deadline, patience
from opa.plugins.console.readers import Reader
from opa.plugins.console.runs_page import ACT, RUNS, are_recorded, runs
from opa.plugins.console.schedule_page import are_scheduled

if TYPE_CHECKING:
    from opa import DeadLetter, DeadLetterPage, DeadLetters

PAGE = 50
MOST_PAGES = 400
"""Those of 20,000 letters, which RabbitMQ is asked for."""
COUNT_LIFE, PAGE_LIFE = 3.0, 30.0
"""Seconds for which their number, and a page of as many, is taken for what it is."""
NOT_YET = "The broker has not answered yet. This page follows."
REASONS = {
    "delivery_limit": "its worker was killed, or lost, each time that it was delivered",
    "rejected": "a worker has rejected it",
    "malformed": "it is not a message of a task",
    "expired": "it had expired before a worker took it",
    "maxlen": "its queue was full",
}


def letters() -> DeadLetters:
    """The dead letters of this application.

    Raises:
        HTTPException: no plugin has a task (404).
    """
    if not are_scheduled():
        raise HTTPException(404, "no plugin has a task")
    from opa import DeadLetters  # with Celery, which is imported where there is a task

    return DeadLetters(get_plugin_manager())


async def count(until: float | None = None) -> int:
    """How many there are, or were a moment ago.

    Args:
        until: when to wait no longer.

    Raises:
        NotYetError: the broker has not answered.
        OpaError: it does not answer, or keeps none.
    """
    return await patience().ask("dead", letters().count, life=COUNT_LIFE, until=until)


async def all_letters(request: Request, reader: Reader) -> Context:
    """What the template of all dead letters needs.

    Raises:
        HTTPException: there is no such page (404).
    """
    store, number = letters(), _number(request.query_params.get("page", "1"))
    context: dict[str, Any] = {
        "letters": (),
        "total": None,
        "page": number,
        "pages": 1,
        "unknown": "",
        "may_act": reader.can(ACT),
    }
    context |= {"reasons": REASONS, "not_yet": ""}
    try:
        until = deadline()
        found = await _page(store, number, await count(until), until)
    except NotYetError:
        return context | {"not_yet": NOT_YET}
    except OpaError as error:
        return context | {"unknown": str(error)}
    pages = min(max(1, ceil(found.total / PAGE)), MOST_PAGES)
    return context | {"letters": found.letters, "total": found.total, "pages": pages}


async def _page(store: DeadLetters, number: int, total: int, until: float) -> DeadLetterPage:
    # Another number of letters is another question, so that the page has what has come meanwhile.
    make = partial(store.page, (number - 1) * PAGE, PAGE)
    return await patience().ask(("dead", number, total), make, life=PAGE_LIFE, until=until)


def _number(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 6 and 1 <= int(text) <= MOST_PAGES):
        raise HTTPException(404, "there is no such page of dead letters")
    return int(text)


async def one_letter(request: Request, reader: Reader) -> Context:
    """What the template of one dead letter needs, with what is recorded of its run.

    Raises:
        HTTPException: there is no such letter (404).
    """
    store, letter_id = letters(), request.path_params["id"]
    context: dict[str, Any] = {
        "id": letter_id,
        "may_act": reader.can(ACT),
        "reasons": REASONS,
        "run": None,
        "log": None,
    }
    context |= {"letter": None, "unknown": "", "not_yet": ""}
    try:
        letter = await _one(store, letter_id)
    except NotYetError:
        return context | {"not_yet": NOT_YET}
    except OpaError as error:
        return context | {"unknown": str(error)}
    if letter is None:
        raise HTTPException(404, "it is not among the dead letters: it was sent again or dropped")
    if are_recorded() and reader.can(RUNS):
        try:
            run = await runs().get(letter.id)
            context |= {"run": run, "log": None if run is None else await runs().log(run)}
        except ComponentUnavailableError:
            pass  # what the broker says is there all the same
    return context | {"letter": letter}


async def _one(store: DeadLetters, letter_id: str) -> DeadLetter | None:
    return await patience().ask(("dead", letter_id), partial(store.get, letter_id), life=COUNT_LIFE)
