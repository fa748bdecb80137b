"""`opa tasks runs`, `show`, `run`, `cancel` and `again`: the runs of tasks, and what to do with them."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Collection, Coroutine
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from opa._util.printable import in_one_line, printable
from opa.cli.audited import audited, with_client
from opa.cli.beside_up import manager_beside_up
from opa.cli.broker_errors import broker_errors
from opa.cli.observed import tell_observers
from opa.cli.tasks import AsJson, tasks
from opa.commands.durations import duration

if TYPE_CHECKING:
    from opa.core.manager import PluginManager
    from opa.plugins.task_runs.reader import RunReader
    from opa.plugins.task_runs.records import Run

Result = TypeVar("Result")

Id = Annotated[
    str, typer.Argument(metavar="ID", help="The id of the run, or the beginning of it; `opa tasks runs` shows the ids.")
]
MOST = 100
ENDS_WITHOUT_RESULT = ("dead", "lost")
ENDS = ("succeeded", "failed", "revoked", *ENDS_WITHOUT_RESULT)
LOOK_INTERVAL = 0.2
END_LIMIT = 5.0
"""Seconds in which a task that is told to end is expected to have ended."""


@tasks.command()
def runs(  # noqa: PLR0917 - each is an option
    failed: Annotated[bool, typer.Option("--failed", help="Only runs that failed, are dead or lost.")] = False,
    state: Annotated[
        list[str] | None, typer.Option("--state", help="Only runs in this state; repeat for more.")
    ] = None,
    task: Annotated[str | None, typer.Option("--task", help="Only runs of this task.")] = None,
    since: Annotated[str | None, typer.Option("--since", help="Only runs sent in this time: 7d, 24h, 30m.")] = None,
    most: Annotated[int, typer.Option("--limit", min=1, max=10_000, help="How many runs to show.")] = MOST,
    as_json: AsJson = False,
) -> None:
    """Show the runs of tasks, newest first. It needs the setting RUNS and the component aioredis."""
    manager = _manager("opa tasks runs")
    from opa.plugins.task_runs.names import BAD, STATES  # behind it: a plugin registers where it is imported

    if unknown := [each for each in state or () if each not in STATES]:
        raise typer.BadParameter(f"{unknown[0]!r} is none of {', '.join(STATES)}", param_hint="--state")
    states = [*(BAD if failed else ()), *(state or ())]
    start = None if since is None else time.time() - duration(since, "--since").total_seconds()

    async def read(reader: RunReader) -> list[Run]:
        await reader.sweep()
        found: list[Run] = []
        cursor: str | None = None
        while len(found) < most:
            page = await reader.list_runs(
                task=task, states=states, since=start, cursor=cursor, limit=min(500, most - len(found))
            )
            found += page.runs
            cursor = page.cursor
            if cursor is None:
                break
        if not found and task is not None:
            _see_that_there_is(task, {*manager.celery.tasks, *await reader.tasks()})
        return found

    found = _with_reader(manager, read)
    if as_json:
        print(json.dumps([run.as_dict() for run in found], indent=2))
    elif found:
        _print_runs(found)
    else:
        print("no runs")


def _see_that_there_is(task: str, known: Collection[str]) -> None:
    """See that there is a task of this name.

    Args:
        known: the names of all tasks, and of those of which there are runs: a plugin may be gone.

    Raises:
        OpaError: there is none.
    """
    from opa._util.suggestions import nearest
    from opa.errors import OpaError

    if task in known:
        return
    near = nearest(task, known) or next((name for name in sorted(known) if name.endswith(f".{task}")), None)
    hint = f"Did you mean '{near}'?" if near else "opa tasks list shows those that there are"
    raise OpaError(f"there is no task '{task}', and there are no runs of one of that name", hint=hint)


@tasks.command()
def show(
    task_id: Id,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Keep showing new lines of the log.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show a run: its outcome, and what it logged. Exit status 1 if there is no such run."""

    async def read(reader: RunReader) -> tuple[Run | None, Any]:
        await reader.sweep()
        run = await reader.get(await reader.id_of(task_id))
        if run is None:
            return None, None
        said = await reader.log(run)
        if follow and not as_json:
            _print_run(run)
            async for text in reader.follow(run.id):
                print(printable(text), end="", flush=True)
            run = await reader.get(run.id) or run
            print(in_one_line(f"{run.state} {run.problem or run.result}".rstrip()))
        return run, said

    run, said = _with_reader(_manager("opa tasks show"), read)
    if run is None:
        typer.echo(f"nobody knows a run {in_one_line(task_id)}. `opa tasks runs` shows those that are known", err=True)
        raise typer.Exit(1)
    if as_json:
        print(json.dumps({**run.as_dict(), "log": said.text, "traceback": said.traceback}, indent=2))
    elif not follow:
        _print_run(run)
        for title, text in (("traceback", said.traceback), ("log", said.text)):
            if text:
                print(f"\n{title}:\n{printable(text).rstrip()}")


@tasks.command()
def run(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="The name of the task; `opa tasks list` shows the names.")
    ],
    args: Annotated[
        str, typer.Argument(metavar="[ARGS]", help='The arguments as JSON: a list `[1, "a"]`, or an object `{"a": 1}`.')
    ] = "[]",
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait until the run has ended; exit status 1 if it fails.")
    ] = False,
) -> None:
    """Send a task to a worker, and print its id."""
    body = _body(args)
    manager = _manager("opa tasks run")
    task_id = _sent(manager, name, body)
    audited(manager, "tasks.run", task=name, id=task_id)
    print(task_id)
    if wait:
        _wait(manager, name, task_id)


@tasks.command()
def cancel(task_id: Id) -> None:
    """Cancel a run: one that waits does not begin, one that runs is ended."""
    manager = _manager("opa tasks cancel")

    async def do(reader: RunReader) -> tuple[Run, Run]:
        before = await reader.cancel(await reader.id_of(task_id), _who())
        after = before
        until = time.monotonic() + END_LIMIT
        while before.state == "running" and not after.is_over and time.monotonic() < until:
            await asyncio.sleep(0.2)
            after = await reader.get(before.id) or after
        return before, after

    before, after = _with_reader(manager, do)
    audited(manager, "tasks.cancel", task=before.task, id=before.id)
    if before.state != "running":
        print("it will not run")
    elif after.is_over:
        print(f"it was running, and is {after.state} now; a 'def' task in a pool of threads goes on until it is done")
    else:
        print(
            f"its worker is told to end it, and has not said within {END_LIMIT:g} s that it has: it is busy, or gone."
            " A 'def' task in a pool of threads cannot be ended"
        )


@tasks.command()
def again(
    task_id: Id,
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait until the run has ended; exit status 1 if it fails.")
    ] = False,
) -> None:
    """Send a task again with the same arguments, and print the id of the new run."""
    manager = _manager("opa tasks again")

    async def do(reader: RunReader) -> tuple[str, str, str]:
        before = await reader.id_of(task_id)
        new = await reader.again(before, _who())
        tell_observers(manager)
        run = await reader.get(before)
        return "" if run is None else run.task, before, new

    name, before, new = _with_reader(manager, do)
    audited(manager, "tasks.again", id=before, new=new)
    print(new)
    if wait:
        _wait(manager, name, new)


def _body(text: str) -> str:
    try:
        given = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise typer.BadParameter(
            f"""it is not JSON, such as '["a", 1]' or '{{"name": "a"}}': {error}""", param_hint="ARGS"
        ) from None
    if not isinstance(given, list | dict):
        raise typer.BadParameter('it is neither a list, such as [1, "a"], nor an object by names', param_hint="ARGS")
    return json.dumps([given, {}] if isinstance(given, list) else [[], given])


def _sent(manager: PluginManager, name: str, body: str) -> str:
    from opa.plugins.task_runs.sending import send_as_person

    with broker_errors(manager):
        task_id = send_as_person(manager, name, body, _who(), "")
    tell_observers(manager)
    return task_id


def _wait(manager: PluginManager, name: str, task_id: str) -> None:
    """Wait until a task has ended, and print what it has returned.

    Its result says so. A task whose results are not kept has none, and neither has one that was given up or lost: of
    these the record of the run does.

    Raises:
        OpaError: neither will say so.
    """
    from celery.backends.base import DisabledBackend
    from celery.result import AsyncResult

    from opa.errors import ComponentError, OpaError

    task = manager.celery.tasks.get(name)
    is_ignored = task is not None and task.ignore_result
    has_result = not is_ignored and not isinstance(manager.celery.backend, DisabledBackend)
    result: Any = AsyncResult(task_id, app=manager.celery)

    async def end(reader: RunReader) -> Run | None:
        while True:
            run = await reader.get(task_id)
            if run is not None and run.state in (ENDS_WITHOUT_RESULT if has_result else ENDS):
                return run
            if has_result and await asyncio.to_thread(result.ready):
                return None
            await asyncio.sleep(LOOK_INTERVAL)

    run, problem = None, None
    if manager.config.RUNS:
        try:
            run = _with_reader(manager, end)
        except ComponentError as error:
            problem = error
    if run is None and not has_result:
        raise OpaError(
            f"task '{name}' is sent, but its result is not kept, and its run is not known:"
            f" {problem or 'RUNS is false'}, so nobody can tell when it has ended",
            hint="Send it without --wait",
        ) from problem
    if run is not None:
        if run.state != "succeeded":
            typer.echo(in_one_line(f"it is {run.state}: {run.problem}".rstrip(": ")), err=True)
            raise typer.Exit(1)
        print(in_one_line(run.result or "None"))
        return
    try:
        found = result.get()
    except Exception as error:  # noqa: BLE001 - whatever the task has raised
        typer.echo(in_one_line(f"it failed: {type(error).__name__}: {error}"), err=True)
        raise typer.Exit(1) from None
    from opa._util.masking.secrets import mask_setting

    print(in_one_line(repr(mask_setting("", found))))


def _who() -> str:
    from opa.access.audit import entry_of

    return str(entry_of("")["who"])


def _manager(command: str) -> PluginManager:
    from opa.tasks.required import task_application

    manager = manager_beside_up()
    task_application(manager, command)
    return manager


def _with_reader(manager: PluginManager, use: Callable[[RunReader], Coroutine[Any, Any, Result]]) -> Result:
    from opa.errors import OpaError
    from opa.plugins.task_runs.component import COMPONENT
    from opa.plugins.task_runs.reader import reader_of

    if not manager.config.RUNS:
        raise OpaError(
            "runs of tasks are not recorded, since RUNS is false",
            where=manager.config.source("RUNS"),
            hint="With RUNS: true this command shows what follows",
        )
    with broker_errors(manager):
        return asyncio.run(with_client(manager, COMPONENT, lambda _: use(reader_of(manager))))


def _time(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    return datetime.fromtimestamp(seconds).astimezone().isoformat(sep=" ", timespec="seconds")


def _print_runs(found: list[Run]) -> None:
    from opa._util.tables import print_table

    print_table(
        ["id", "task", "arguments", "state", "sent", "took", "by", "error"],
        [
            [
                run.id,
                run.task or "-",
                run.arguments or "-",
                run.state,
                _time(run.sent),
                _took(run),
                _by(run),
                run.problem or "-",
            ]
            for run in found
        ],
    )


def _took(run: Run) -> str:
    return f"{run.ended - run.started:.2f} s" if run.ended and run.started else "-"


def _by(run: Run) -> str:
    for what, value in (
        ("schedule", run.schedule),
        ("event", run.event),
        ("task", run.parent),
        (run.actor_kind, run.actor),
    ):
        if value:
            return f"{what} {value}"
    return f"request {run.request_id}" if run.request_id else "-"


def _print_run(run: Run) -> None:
    times = {"since", "sent", "started", "ended"}
    for name, value in run.as_dict().items():
        if value not in ("", None):
            print(f"{name:<12} {in_one_line(_time(value) if name in times else _said(name, value))}")


def _said(name: str, value: Any) -> str:
    if name == "again":
        return "can be sent again" if value else "cannot be sent again: its arguments are not kept"
    return str(value)
