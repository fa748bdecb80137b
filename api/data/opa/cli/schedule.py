"""`opa schedule`: what runs when, and a hand on it."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Callable, Coroutine
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from opa._util.printable import in_one_line
from opa.cli.audited import audited
from opa.cli.beside_up import manager_beside_up
from opa.cli.broker_errors import broker_errors
from opa.cli.observed import tell_observers
from opa.cli.plugin_group import PluginGroup
from opa.cli.program import app
from opa.cli.schedule_states import moment, schedule_states
from opa.commands.durations import duration

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from opa.core.manager import PluginManager
    from opa.tasks.schedule_control import Schedules, ScheduleState

Result = TypeVar("Result")

schedule = typer.Typer(
    name="schedule",
    cls=PluginGroup,
    help="Show the schedule, pause and resume entries, and send one now.",
    no_args_is_help=True,
)
app.add_typer(schedule)

Name = Annotated[str, typer.Argument(help="The name of the entry, as `opa schedule list` shows it.")]
_TIME = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)", re.ASCII)


@schedule.command("list")
def list_schedules(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Show each entry: what it sends and when, its last and its next run, and whether it is paused."""
    states, problem = schedule_states(manager_beside_up())
    states.sort(key=lambda state: state.name)
    if as_json:
        print(json.dumps([asdict(state) for state in states], indent=2))
    elif states:
        _print_table(states)
    else:
        print("no schedules")
    if problem:
        typer.echo(in_one_line(f"without last and next runs and pauses: {problem}"), err=True)


@schedule.command()
def pause(
    name: Name,
    until: Annotated[
        str | None,
        typer.Option("--until", help="When the pause ends: 2026-12-24T18:00, 2026-12-24 or 18:00, in CELERY_TIMEZONE."),
    ] = None,
    length: Annotated[str | None, typer.Option("--for", help="How long the pause lasts: 2h, 30m, 7d.")] = None,
    reason: Annotated[str, typer.Option("--reason", help="Why it is paused; `opa schedule list` shows it.")] = "",
) -> None:
    """Stop sending the runs of an entry until it is resumed or the pause ends. It applies to every beat."""
    if until is not None and length is not None:
        raise typer.BadParameter("give one of them", param_hint="--until / --for")
    manager = manager_beside_up()
    end = _end(manager, until, length)
    made = _with(manager, lambda schedules: schedules.pause(name, until=end, reason=reason))
    how = "until it is resumed" if end is None else f"until {moment(end)}"
    print(in_one_line(f"schedule '{name}' is paused {how}"))
    ends = {} if end is None else {"until": moment(end)}
    audited(manager, "schedule.pause", name=name, **ends, **({"reason": made.reason} if made.reason else {}))


@schedule.command()
def resume(name: Name) -> None:
    """End a pause. The entry is sent when it is next due."""
    manager = manager_beside_up()
    if not _with(manager, lambda schedules: schedules.resume(name)):
        print(in_one_line(f"schedule '{name}' is not paused"))
        return
    print(in_one_line(f"schedule '{name}' goes on"))
    audited(manager, "schedule.resume", name=name)


@schedule.command()
def run(name: Name) -> None:
    """Send the task of an entry now, with the arguments of the entry. Its next run and a pause stay as they are."""
    from opa.access.audit import entry_of

    manager = manager_beside_up()
    who = str(entry_of("")["who"])
    task_id = _with(manager, lambda schedules: schedules.run(name, by=who))
    tell_observers(manager)
    print(task_id)
    audited(manager, "schedule.run", name=name, id=task_id)


def _with(manager: PluginManager, use: Callable[[Schedules], Coroutine[Any, Any, Result]]) -> Result:
    from opa.tasks.schedule_control import Schedules

    with broker_errors(manager):
        return asyncio.run(use(Schedules(manager)))


def _end(manager: PluginManager, until: str | None, length: str | None) -> float | None:
    if length is not None:
        seconds = duration(length, "--for").total_seconds()
        if not seconds:
            raise typer.BadParameter("a pause that has ended already has no effect", param_hint="--for")
        return time.time() + seconds
    if until is None:
        return None
    end = _moment_in(until, manager.config.CELERY_TIMEZONE)
    if end <= time.time():
        raise typer.BadParameter(f"{until!r} is over", param_hint="--until")
    return end


def _moment_in(text: str, zone_name: str) -> float:
    from zoneinfo import ZoneInfo

    zone = ZoneInfo(zone_name)
    if found := _TIME.fullmatch(text.strip()):
        return _next_time(int(found[1]), int(found[2]), zone)
    try:
        point = datetime.fromisoformat(text.strip())
        return (point if point.tzinfo else point.replace(tzinfo=zone)).timestamp()
    except (ValueError, OverflowError):
        raise typer.BadParameter(
            f"{text!r} is not a time such as 2026-12-24, 2026-12-24T18:00, 2026-12-24T18:00+01:00 or 18:00",
            param_hint="--until",
        ) from None


def _next_time(hour: int, minute: int, zone: ZoneInfo) -> float:
    now = datetime.now(zone)
    point = now.replace(hour=hour, minute=minute, second=0, microsecond=0)
    return (point if point > now else point + timedelta(days=1)).timestamp()


def _print_table(states: list[ScheduleState]) -> None:
    from opa._util.tables import print_table

    print_table(
        ["name", "task", "when", "last run", "next run", "paused", "missed"],
        [
            [
                state.name,
                state.task or "not here",
                state.when or "-",
                moment(state.last_run),
                moment(state.next_run) if state.enabled else "not enabled",
                _pause_text(state),
                moment(state.missed),
            ]
            for state in states
        ],
    )


def _pause_text(state: ScheduleState) -> str:
    if not state.paused:
        return "-"
    end = "" if state.paused_until is None else f" until {moment(state.paused_until)}"
    reason = f": {state.pause_reason}" if state.pause_reason else ""
    return f"by {state.paused_by or 'an unknown user'} since {moment(state.paused_since)}{end}{reason}"
