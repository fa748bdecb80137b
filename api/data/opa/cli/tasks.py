"""`opa tasks`: which tasks there are, and what to do with those that were given up."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from opa._util.printable import in_one_line
from opa.cli.audited import audited
from opa.cli.beside_up import manager_beside_up
from opa.cli.observed import tell_observers
from opa.cli.plugin_group import PluginGroup
from opa.cli.program import app
from opa.cli.schedule_states import moment, schedule_states

if TYPE_CHECKING:
    from opa.core.manager import PluginManager
    from opa.tasks.application import TaskApplication
    from opa.tasks.dead_letters.letters import DeadLetter, Held
    from opa.tasks.schedule_control import ScheduleState

tasks = typer.Typer(
    name="tasks",
    cls=PluginGroup,
    help="Show and run the tasks of the plugins, and show their runs and dead letters.",
    no_args_is_help=True,
)
app.add_typer(tasks)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
Ids = Annotated[list[str] | None, typer.Argument(metavar="[ID]...", help="The ids; `opa tasks dead` shows them.")]
Every = Annotated[bool, typer.Option("--all", help="All dead letters.")]

AUDITED_IDS = 100
"""Ids of dead letters in an entry of the audit log, which has the number of all."""


@tasks.command("list")
def list_tasks(as_json: AsJson = False) -> None:
    """Show the tasks of the plugins: where each is defined, its queue, schedule and limits."""
    rows = task_rows(manager_beside_up())
    if as_json:
        print(json.dumps(rows, indent=2))
        return
    from opa._util.tables import print_table

    columns = ["task", "queue", "schedule", "limits", "where"]
    if not any(row["limits"] for row in rows):
        columns.remove("limits")
    print_table(columns, [[row[column] or "-" for column in columns] for row in rows])


def task_rows(manager: PluginManager) -> list[dict[str, Any]]:
    """A row for each task of a plugin, by name: task, queue, schedule and limits (None without), where."""
    from opa.tasks.application import application_of

    celery = application_of(manager)
    celery.finalize()
    for failure in celery.unmade.values():
        raise failure
    schedules: dict[str, list[str]] = {}
    for entry in schedule_states(manager)[0]:
        schedules.setdefault(entry.task, []).append(f"{entry.when}{_not_sent(entry)}")
    return [
        {
            "task": name,
            "queue": _queue(celery, name),
            "schedule": ", ".join(schedules.get(name, [])) or None,
            "limits": str(celery.limits_of(name) or "") or None,
            "where": celery.where(name),
        }
        for name in sorted(celery.tasks)
        if celery.where(name)
    ]


def _queue(celery: TaskApplication, name: str) -> str:
    task: Any = celery.tasks[name]
    options = {"queue": task.queue} if getattr(task, "queue", None) else {}
    queue = celery.amqp.router.route(options, name).get("queue")
    return str(getattr(queue, "name", queue or celery.conf.task_default_queue))


def _not_sent(entry: ScheduleState) -> str:
    """Why an entry of the schedule is not sent, behind its schedule."""
    if not entry.enabled:
        return " (not enabled)"
    if not entry.paused:
        return ""
    return f" (paused until {moment(entry.paused_until)})" if entry.paused_until is not None else " (paused)"


@tasks.command()
def dead(as_json: AsJson = False) -> None:
    """Show the dead letters, oldest first, without removing them."""
    from opa.tasks.dead_letters.reader import dead_letters
    from opa.tasks.required import task_application

    with dead_letters(task_application(manager_beside_up(), "opa tasks dead")) as held:
        letters = [one.letter for one in held]
    if as_json:
        print(json.dumps([asdict(letter) for letter in letters], indent=2, default=str))
    elif letters:
        _print_letters(letters)
    else:
        print("no dead letters")


@tasks.command()
def retry(ids: Ids = None, every: Every = False) -> None:
    """Send dead letters to their queue again, with a new count of deliveries.

    A message that no worker can read stays a dead letter.
    """
    from opa.tasks.application import application_of
    from opa.tasks.dead_letters.control import why_it_stays

    _check_choice(ids, every)
    manager = manager_beside_up()

    def send_again(held: Held) -> str:
        letter = held.letter
        if reason := why_it_stays(held):
            return f"stays, since {reason}"
        if observers := application_of(manager).observers:
            observers.tell_sent_again(letter.id, letter.task, letter.queue)
        return ""

    try:
        _settle(manager, "opa tasks retry", ids, every, send_again, done="sent again")
    finally:
        tell_observers(manager)


@tasks.command()
def drop(
    ids: Ids = None,
    every: Every = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")] = False,
) -> None:
    """Delete dead letters for good."""
    _check_choice(ids, every)
    if not yes:
        what = "all dead letters" if every else f"{len(ids or [])} of the dead letters"
        typer.confirm(f"Delete {what}? This cannot be undone.", abort=True)

    def throw_away(held: Held) -> str:
        held.drop()
        return ""

    _settle(manager_beside_up(), "opa tasks drop", ids, every, throw_away, done="thrown away")


def _settle(
    manager: PluginManager,
    command: str,
    ids: list[str] | None,
    every: bool,
    settle: Callable[[Held], str],
    *,
    done: str,
) -> None:
    """Do something with those that were asked for; exit status 1 where some stay or are not there.

    Args:
        settle: does it, and says why it did not.
    """
    from opa.tasks.dead_letters.reader import dead_letters
    from opa.tasks.required import task_application

    wanted = set(_check_choice(ids, every))
    found: set[str] = set()
    stay: list[str] = []
    settled: list[str] = []
    try:
        with dead_letters(task_application(manager, command)) as held:
            for one in _chosen(held, wanted, every):
                found.add(one.letter.id)
                if reason := _settled(one, settle):
                    stay.append(in_one_line(f"{one.letter.id} {one.letter.task} {reason}"))
                else:
                    settled.append(one.letter.id)
    finally:
        print(f"{done}: {len(settled)}")
        if settled:
            what = command.removeprefix("opa ").replace(" ", ".")
            audited(manager, what, count=len(settled), ids=settled[:AUDITED_IDS])
    stay += [f"{in_one_line(missing)} is not among the dead letters" for missing in sorted(wanted - found)]
    for line in stay:
        typer.echo(line, err=True)
    if stay:
        raise typer.Exit(1)


def _settled(held: Held, settle: Callable[[Held], str]) -> str:
    """What `settle` says; a letter that the broker refuses stays, and holds up no other."""
    from opa.errors import OpaError
    from opa.tasks.dead_letters.letters import LetterGoneError

    try:
        return settle(held)
    except LetterGoneError:
        return "is gone: it was sent again or dropped meanwhile"
    except OpaError as error:
        return f"stays, since {error.problem}"


def _chosen(held: Iterator[Held], wanted: set[str], every: bool) -> Iterator[Held]:
    found: set[str] = set()
    for one in held:
        if every or one.letter.id in wanted:
            found.add(one.letter.id)
            yield one
        if not every and found == wanted:
            return


def _check_choice(ids: list[str] | None, every: bool) -> list[str]:
    if bool(ids) == every:
        raise typer.BadParameter("name the ids, or give --all")
    return ids or []


def _print_letters(letters: list[DeadLetter]) -> None:
    from opa._util.tables import print_table

    print_table(
        ["id", "task", "arguments", "queue", "deliveries", "reason", "died"],
        [
            [
                letter.id,
                letter.task or "-",
                letter.arguments or "-",
                letter.queue,
                "-" if letter.deliveries is None else str(letter.deliveries),
                f"{letter.reason}: {letter.problem}" if letter.problem else letter.reason,
                letter.died.isoformat(sep=" ", timespec="seconds") if letter.died else "-",
            ]
            for letter in letters
        ],
    )
