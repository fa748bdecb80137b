"""Looks at the schedule from any process, and pauses, resumes and sends its entries."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

from celery.beat import ScheduleEntry
from celery.schedules import crontab, maybe_schedule
from redis.exceptions import RedisError

from opa._compat.celery.app import crontab_fields
from opa._util.masking.secrets import mask_text
from opa._util.printable import in_one_line
from opa._util.suggestions import nearest
from opa.access.audit import entry_of
from opa.core.threads import in_pool
from opa.errors import OpaError
from opa.tasks.application import application_of
from opa.tasks.beat.due import due_after
from opa.tasks.beat.keys import missed_key, paused_key, ran_key, sent_key, times_in
from opa.tasks.beat.missed import last_missed
from opa.tasks.beat.pauses import Pause, Pauses, new_pause
from opa.tasks.beat.ran import last_runs, note_run
from opa.tasks.beat.redis import key_prefix, redis_client
from opa.tasks.request_ids import with_schedule
from opa.tasks.required import task_application

if TYPE_CHECKING:
    from opa.core.manager import PluginManager
    from opa.tasks.application import TaskApplication

Result = TypeVar("Result")


@dataclass(frozen=True)
class ScheduleState:
    """What is known of an entry of the schedule. Times are seconds since the epoch.

    Attributes:
        name: of the entry; for that of a decorator it is the name of the task.
        task: what it sends; empty for a pause of an entry that is not here.
        plugin: whose task that is; None where no plugin here has it.
        when: its schedule as people write it: `30 3 * * 1-5`, `every 60 s`.
        where: file and line of the task, or the settings file.
        enabled: false where the settings say so.
        last_run: when it was sent last; None where that is not known.
        last_id: the id of the task then; empty where that is not known.
        next_run: when it is due; None while a pause without an end holds, where it is not enabled or not known.
        paused: whether a pause holds.
        paused_since: when that began.
        paused_until: when it ends; None where someone has to end it.
        paused_by: who paused it.
        pause_reason: what they said.
        missed: when the last run was due that was not sent in time; None where there is none.
    """

    name: str
    task: str
    plugin: str | None
    when: str
    where: str
    enabled: bool = True
    last_run: float | None = None
    last_id: str = ""
    next_run: float | None = None
    paused: bool = False
    paused_since: float | None = None
    paused_until: float | None = None
    paused_by: str = ""
    pause_reason: str = ""
    missed: float | None = None


class Schedules:
    """The schedule of a project, and a hand on it.

    Changes hold for all beats, and over restarts. Who changes something writes it into the audit log by themselves.

    Args:
        manager: of the application; its component with the driver `celery` says where the broker and redis are.
    """

    def __init__(self, manager: PluginManager) -> None:
        self._manager = manager

    async def all(self) -> list[ScheduleState]:
        """Every entry with its state in redis, those of the decorators first.

        Raises:
            OpaError: redis does not answer, or there is none. `configured` says what is known without it.
        """
        return await self._in_thread(self._all)

    def configured(self) -> list[ScheduleState]:
        """Every entry with what the plugins and settings say of it, those of the decorators first."""
        app = application_of(self._manager)
        entries, settings = _entries(app), self._settings_source()
        return [self._state(app, name, entry, settings=settings) for name, entry in entries.items()]

    async def pause(self, name: str, *, until: float | None = None, by: str | None = None, reason: str = "") -> Pause:
        """Send no more runs of an entry, until it is resumed, or until a time.

        Args:
            name: of the entry.
            until: seconds since the epoch.
            by: who does it; by default the actor of the request, or the user of the system.
            reason: why, for others to read.

        Raises:
            OpaError: there is no such entry, `until` is over, or redis does not answer.
        """
        if until is not None and not time.time() < until:
            raise OpaError("a pause that has ended already has no effect", hint="Give a time that is yet to come")
        pause = new_pause(until, by or str(entry_of("")["who"]), reason)

        def put() -> Pause:
            app = self._application("a pause")
            self._entry(app, name)
            _pauses(app).put(name, pause)
            return pause

        return await self._in_thread(put)

    async def resume(self, name: str) -> bool:
        """End a pause: the entry is sent when it is due next. False where it is not paused.

        Raises:
            OpaError: there is no such entry, or redis does not answer.
        """

        def end() -> bool:
            app = self._application("the end of a pause")
            pauses = _pauses(app)
            pause = pauses.get(name)
            if pause is None:
                self._entry(app, name)
                return False
            return pauses.end(name, pause)

        return await self._in_thread(end)

    async def run(self, name: str, *, by: str = "") -> str:
        """Send the task of an entry now, with its arguments, and give the id of the task.

        That changes neither when the entry is due, nor a pause.

        Args:
            name: of the entry.
            by: who has asked for it, whom the task then has as its actor.

        Raises:
            OpaError: there is no such entry, or redis does not answer.
            TaskArgumentError: the arguments of the entry do not arrive as they are.
            kombu.exceptions.OperationalError: the broker does not answer.
        """

        def send() -> str:
            app = self._application("a run")
            entry = self._entry(app, name)
            sent = app.send_task(
                entry["task"],
                entry.get("args") or (),
                entry.get("kwargs") or {},
                **with_schedule(entry.get("options") or {}, name, by),
            )
            task_id = str(sent.id)
            note_run(redis_client(app, "a run"), _key(app, ran_key), name, task_id)
            return task_id

        return await self._in_thread(send)

    async def _in_thread(self, function: Callable[[], Result]) -> Result:
        def call() -> Result:
            try:
                return function()
            except RedisError as error:
                raise OpaError(
                    f"redis, where the state of the schedule is, does not answer: {mask_text(str(error))}",
                    where="setting OPTIONAL_COMPONENTS.CELERY.OPTS.BACKEND_URL",
                    hint="Start it and try again; `opa up` in this folder does. Beat sends nothing without it either",
                ) from error

        return await in_pool("celery", call)

    def _application(self, needed_by: str) -> TaskApplication:
        app = task_application(self._manager, needed_by)
        redis_client(app, needed_by)
        return app

    def _entry(self, app: TaskApplication, name: str) -> Mapping[str, Any]:
        entries = _entries(app)
        if name in entries:
            return entries[name]
        near = nearest(name, entries)
        known = "opa schedule list shows those that there are" if entries else "No plugin here has a schedule"
        raise OpaError(
            in_one_line(f"there is no schedule '{name}'"), hint=f"Did you mean '{near}'? {known}" if near else known
        )

    def _all(self) -> list[ScheduleState]:
        app = self._application("the state of the schedule")
        client = redis_client(app, "the state of the schedule")
        entries, settings = _entries(app), self._settings_source()
        times = times_in(client.hgetall(_key(app, sent_key)).items())
        pauses, runs = _pauses(app).all(), last_runs(client, _key(app, ran_key))
        missed = last_missed(client, _key(app, missed_key))
        known = {
            name: self._state(app, name, entry, settings=settings, pause=pauses.get(name), sent=times.get(name))
            for name, entry in entries.items()
        }
        for name, pause in pauses.items():
            if name not in known and pause.holds():
                known[name] = _with_pause(ScheduleState(name, "", None, "", ""), pause)
        return [
            replace(
                state,
                last_run=runs[name].at if name in runs else None,
                last_id=runs[name].id if name in runs else "",
                missed=missed.get(name),
            )
            for name, state in known.items()
        ]

    def _settings_source(self) -> str:
        """Where the settings have the schedule: asked once, since it looks through all of the entries."""
        return self._manager.config.source("CELERY_BEAT_SCHEDULE")

    def _state(
        self,
        app: TaskApplication,
        name: str,
        written: Mapping[str, Any],
        *,
        settings: str,
        pause: Pause | None = None,
        sent: float | None = None,
    ) -> ScheduleState:
        task, enabled = written["task"], name not in app.disabled_schedules
        function = app.functions().get(task)
        where = app.where(task) if name in app.schedules else settings
        state = ScheduleState(
            name,
            task,
            None if function is None else self._manager.plugin_of_module(function.__module__),
            schedule_text(written["schedule"]),
            where,
            enabled,
        )
        now = time.time()
        if pause is not None:
            if pause.holds(now):
                state = _with_pause(state, pause)
            if pause.until is not None:
                sent = max(sent or now, pause.until)
        if not enabled or (state.paused and state.paused_until is None):
            return state
        entry = ScheduleEntry(**{**written, "name": name, "app": app})
        due = due_after(entry, now if sent is None else sent)
        return replace(state, next_run=None if due is None else max(now, due))


def _entries(app: TaskApplication) -> dict[str, dict[str, Any]]:
    """Those that run and those that do not, in the order of the plugins, and then of the settings."""
    entries = {**app.scheduled(), **app.disabled_schedules}
    names = dict.fromkeys([*app.schedules, *entries])
    return {name: entries[name] for name in names if name in entries}


def schedule_text(schedule: Any) -> str:
    """A schedule as people write it."""
    if isinstance(schedule, crontab):
        return " ".join(crontab_fields(schedule))
    every = maybe_schedule(schedule)
    return f"every {every.seconds:g} s" if hasattr(every, "seconds") else str(every)


def _with_pause(state: ScheduleState, pause: Pause) -> ScheduleState:
    return replace(
        state,
        paused=True,
        paused_since=pause.since,
        paused_until=pause.until,
        paused_by=pause.by,
        pause_reason=pause.reason,
    )


def _pauses(app: TaskApplication) -> Pauses:
    return Pauses(redis_client(app, "a pause"), _key(app, paused_key))


def _key(app: TaskApplication, key: Callable[[str], str]) -> str:
    return f"{key_prefix(app)}{key(app.project)}"
