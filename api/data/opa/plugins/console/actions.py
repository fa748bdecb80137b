"""What people do on the pages: send, cancel and repeat tasks, pause and resume schedules. Each is in the audit log."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from time import time
from urllib.parse import quote

from kombu.exceptions import OperationalError
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request

from opa import ComponentUnavailableError, OpaError, Schedules, audit, get_plugin_manager, is_from_own_page
from opa.plugins.console import dead_page, schedule_page
from opa.plugins.console.patience import patience
from opa.plugins.console.readers import Reader
from opa.plugins.console.runs_page import are_recorded, runs
from opa.plugins.console.task_form import FormError, arguments_in
from opa.plugins.console.tasks_page import fields_of_task, functions

DEVELOPER = "development"
"""Who does something where nobody has to sign in."""
MOST_FIELDS = 200

Action = Callable[[Request, Reader, FormData], Awaitable[str]]
"""Does something, and gives the path of the page that shows it, below that of the console."""


class RefusedActionError(Exception):
    """It was not done; the text says why."""


async def form_of(request: Request) -> FormData:
    """What a page of ours has sent.

    Raises:
        HTTPException: a page of another site has sent it (403).
    """
    if not is_from_own_page(request):
        raise HTTPException(403, "this must come from a page of this host")
    return await request.form(max_files=0, max_fields=MOST_FIELDS)


async def done(action: Action, request: Request, reader: Reader, form: FormData) -> str:
    """Do it, and give the path of the page that shows it.

    Raises:
        RefusedActionError: it was not done.
    """
    try:
        return await action(request, reader, form)
    except (OpaError, FormError) as error:
        raise RefusedActionError(str(error)) from error
    except OperationalError as error:
        raise RefusedActionError("the broker does not answer, so that nothing was sent") from error
    finally:
        patience().forget()


async def send(request: Request, reader: Reader, form: FormData) -> str:
    """Send a task, with the arguments of the form."""
    name = request.path_params["name"]
    if name not in functions():
        raise HTTPException(404, "there is no such task")
    who = _who(reader)
    arguments = arguments_in(fields_of_task(name), {key: value for key, value in form.items() if value != ""})
    task_id = await runs().send(name, json.dumps([[], arguments]), who)
    audit("tasks.run", who=who, request=request, task=name, id=task_id)
    return _page_of(task_id)


async def cancel(request: Request, reader: Reader, _form: FormData) -> str:
    """Have a run not run, or end."""
    task_id, who = request.path_params["id"], _who(reader)
    run = await runs().cancel(task_id, who)
    audit("tasks.cancel", who=who, request=request, task=run.task, id=task_id)
    return _page_of(task_id)


async def again(request: Request, reader: Reader, _form: FormData) -> str:
    """Send a task once more."""
    task_id, who = request.path_params["id"], _who(reader)
    new = await runs().again(task_id, who)
    audit("tasks.again", who=who, request=request, id=task_id, new=new)
    return _page_of(new)


async def send_dead_again(request: Request, reader: Reader, _form: FormData) -> str:
    """Send a dead letter to its queue again."""
    letter_id, who = request.path_params["id"], _who(reader)
    letter = await dead_page.letters().send_again(letter_id)
    audit("tasks.retry", who=who, request=request, count=1, ids=[letter_id], task=letter.task)
    await _note(letter_id, f"sent again from the dead letters by {who}")
    return "/dead"


async def drop_dead(request: Request, reader: Reader, _form: FormData) -> str:
    """Delete a dead letter for good."""
    letter_id, who = request.path_params["id"], _who(reader)
    letter = await dead_page.letters().drop(letter_id)
    audit("tasks.drop", who=who, request=request, count=1, ids=[letter_id], task=letter.task)
    await _note(letter_id, f"dropped from the dead letters by {who}")
    return "/dead"


async def _note(task_id: str, text: str) -> None:
    """Write into the record of a run, if there is one; the audit log has it anyway."""
    if not are_recorded():
        return
    with suppress(ComponentUnavailableError):
        if await runs().get(task_id) is not None:
            await runs().note(task_id, text)


async def pause(request: Request, reader: Reader, form: FormData) -> str:
    """Pause a schedule."""
    name, who = str(form.get("name", "")), _who(reader)
    length, reason = str(form.get("length", "")), str(form.get("reason", ""))
    if length not in schedule_page.LENGTHS:
        raise FormError("the pause has no such length")
    until = time() + float(length) if length else None
    await Schedules(get_plugin_manager()).pause(name, until=until, by=who, reason=reason)
    audit("schedule.pause", who=who, request=request, name=name, **({"reason": reason} if reason else {}))
    return "/schedule"


async def resume(request: Request, reader: Reader, form: FormData) -> str:
    """End a pause."""
    name, who = str(form.get("name", "")), _who(reader)
    if await Schedules(get_plugin_manager()).resume(name):
        audit("schedule.resume", who=who, request=request, name=name)
    return "/schedule"


async def run(request: Request, reader: Reader, form: FormData) -> str:
    """Send the task of a schedule now."""
    name, who = str(form.get("name", "")), _who(reader)
    task_id = await Schedules(get_plugin_manager()).run(name, by=who)
    audit("schedule.run", who=who, request=request, name=name, id=task_id)
    return _page_of(task_id)


def _page_of(task_id: str) -> str:
    return f"/runs/{quote(task_id)}"


def _who(reader: Reader) -> str:
    return DEVELOPER if reader.actor is None else reader.actor.id
