"""The members of the group `task_observers`, and how they are told."""

from __future__ import annotations

import inspect
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, cast

from opa._util.masking.secrets import looks_secret
from opa.loading.conventions import SCHEDULE_MISSED_GROUP, TASK_OBSERVERS_GROUP
from opa.logging.logger import log
from opa.tasks.headers import SENT_AT
from opa.tasks.observing.listening import GROUPS, Listening
from opa.tasks.observing.observer import EVENTS, TaskObserver
from opa.tasks.observing.run import TaskRun, made, queue_in, run_of

if TYPE_CHECKING:
    from opa.core.groups import Member
    from opa.core.manager import PluginManager

GROUP = TASK_OBSERVERS_GROUP.name
SENT_AGAIN = "sent again"
LISTENERS = (*GROUPS, SCHEDULE_MISSED_GROUP.name)
STOPPED_BY = ("opa", "celery", "billiard")
"""The packages whose handlers of signals end what a process does by SystemExit."""


class Observers:
    """Those of one application; it is made where there is one at least."""

    def __init__(self, manager: PluginManager) -> None:
        self._manager = manager
        self._members: Mapping[str, Any] | None = None
        self._told: dict[str, tuple[Callable[..., object], ...]] = {}
        self._tasks: dict[str, tuple[str, tuple[str, ...]]] = {}
        self._has_failed: set[tuple[Any, str]] = set()

    def hear(self, event: str) -> bool:
        """Whether any is told of this: the name of a method of `TaskObserver`."""
        return bool(self._of(event))

    def tell(self, event: str, run: TaskRun, *more: Any) -> None:
        """Tell all of them; whatever they raise, who calls goes on."""
        for method in self._of(event):
            try:
                method(run, *more)
            except Exception as error:  # noqa: BLE001 - any plugin's
                self._note(method, event, error)
            except SystemExit as error:
                if _is_of_a_signal(error):
                    raise
                self._note(method, event, error)

    def tell_sent(self, name: str, message: Any, queue: Any, body: str | None) -> None:
        """Tell that a message was sent. One of a retry is none: its worker tells that it is retried.

        Args:
            message: Celery's: headers, properties, body, fields of the event.
            queue: where it went: a queue, its name, or a routing key.
            body: as it was encoded.
        """
        headers = message.headers
        if headers.get("retries") or not self.hear("sent"):
            return
        plugin, parameters = self._known_of(name)
        run = made(
            {
                "id": headers["id"],
                "task": name,
                "plugin": plugin,
                "parameters": parameters,
                "queue": queue_in(getattr(queue, "name", queue)),
                "tries": 1,
                "sent_at": headers.get(SENT_AT),
                "body": body,
                "headers": headers,
            }
        )
        self.tell("sent", run)

    def tell_sent_again(self, task_id: str, task: str, queue: str) -> None:
        """Tell that a dead letter was put into its queue again."""
        run = TaskRun(task_id, task, self._known_of(task)[0], queue, sent_at=time.time(), reason=SENT_AGAIN)
        self.tell("sent", run)

    def tell_end(self, event: str, fields: Mapping[str, Any], **more: Any) -> None:
        """Tell the end of a run of which a message is known, with the time of this moment.

        Args:
            fields: as `run_of` has them.
            more: fields of the run.
        """
        if self.hear(event):
            self.tell(event, self.run_of(fields, ended_at=time.time(), **more))

    async def state(self, task_id: str) -> str | None:
        """What they know of a task whose result has no state; None where none knows anything."""
        for method in self._of("state"):
            try:
                state: str | None = await cast("Any", method(task_id))
            except Exception as error:  # noqa: BLE001 - any plugin's
                self._note(method, "state", error)
            else:
                if state is not None:
                    return state
        return None

    def cancelled(self) -> Iterator[str]:
        """The ids of tasks that are not to run."""
        for method in self._of("cancelled"):
            try:
                yield from (task_id for task_id in cast("Any", method()) if isinstance(task_id, str))
            except Exception as error:  # noqa: BLE001 - any plugin's
                self._note(method, "cancelled", error)

    def worker_ready(self) -> None:
        """Tell them that this worker takes tasks from now on."""
        self._call("worker_ready", self._of("worker_ready"))

    def stop(self) -> None:
        """Tell them that the process ends, the last one first: another may have something from it."""
        self._call("stop", self._of("stop")[::-1])

    def _call(self, event: str, methods: tuple[Callable[..., object], ...]) -> None:
        for method in methods:
            try:
                method()
            except Exception as error:  # noqa: BLE001 - any plugin's
                self._note(method, event, error)

    def run_of(self, fields: Mapping[str, Any], **more: Any) -> TaskRun:
        """The run that the fields of a message are of; see `opa.tasks.observing.run`.

        Args:
            fields: of the message.
            more: fields of the run.
        """
        return run_of(fields, *self._known_of(fields["task"]), **more)

    def _known_of(self, task: str) -> tuple[str, tuple[str, ...]]:
        """The plugin that a task belongs to, empty for none; and its parameters where one may be secret."""
        known = self._tasks.get(task)
        if known is None:
            app = self._manager.celery
            function = app.functions().get(task)
            if function is None:  # anyone can send any name, and another one each time
                return "", ()
            signature = app.signature_of(task)
            names = () if signature is None else tuple(signature.parameters)
            plugin = self._manager.plugin_of_module(function.__module__) or ""
            known = self._tasks[task] = plugin, names if any(map(looks_secret, names)) else ()
        return known

    def _of(self, event: str) -> tuple[Callable[..., object], ...]:
        members = self._manager.groups.get(GROUP)
        if members is not self._members:  # it is another one when a plugin is skipped
            self._told = {each: _methods(members, each) for each in EVENTS}
            self._members = members
        return self._told[event]

    def _note(self, method: Callable[..., object], event: str, error: BaseException) -> None:
        observer = getattr(method, "__self__", None)
        kind = type(observer)
        if (kind, event) in self._has_failed:
            return
        self._has_failed.add((kind, event))
        plugin = self._manager.plugin_of_module(kind.__module__)
        of_plugin = f" of plugin '{plugin}'" if plugin else ""
        log.opt(exception=error).error(
            f"the observer {kind.__module__}.{kind.__qualname__}{of_plugin} failed in '{event}'; the tasks go on, and"
            " this is said once"
        )


def _is_of_a_signal(error: SystemExit) -> bool:
    """Whether it was raised by a handler, in the middle of the method, and not by the method itself."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    return str(frames[-1].f_globals.get("__name__")).partition(".")[0] in STOPPED_BY


def _methods(members: Mapping[str, Any], event: str) -> tuple[Callable[..., object], ...]:
    base = getattr(TaskObserver, event)
    return tuple(
        getattr(member, event) for member in members.values() if getattr(type(member), event, None) not in (None, base)
    )


def observers_of(manager: PluginManager) -> Observers | None:
    """The observers of an application; None where there is none, and nothing is to be told.

    Raises:
        RegistrationError: a member of the group is no observer, or one that is told of failures is no function.
    """
    for group in LISTENERS:
        for member in manager.groups.members(group):
            if not callable(member.value):
                raise _unfit(manager, group, member, "function", "Make it a function that takes one argument")
    if any(manager.groups.members(group) for group in GROUPS):
        manager.groups.register(GROUP, Listening(manager))
    members = manager.groups.members(GROUP)
    for member in members:
        if not isinstance(member.value, TaskObserver):
            raise _unfit(
                manager,
                GROUP,
                member,
                "TaskObserver",
                "Make it a class that derives from opa.TaskObserver, or an object of one",
            )
        for event in EVENTS:
            if event != "state" and inspect.iscoroutinefunction(inspect.unwrap(getattr(member.value, event))):
                raise _coroutine(manager, member, event)
    return Observers(manager) if members else None


def _coroutine(manager: PluginManager, member: Member, event: str) -> Exception:
    from opa.errors import RegistrationError

    return RegistrationError(
        f"'{member.uri}' in the group '{GROUP}' has an async def '{event}', which nobody awaits",
        plugin=manager.plugin_of_module(member.module) if member.module else None,
        where="" if member.module else f"setting PLUGINS.{GROUP}",
        hint="Make it a def, which returns at once; functions in the group on_task_failed may be async def",
    )


def _unfit(manager: PluginManager, group: str, member: Member, wanted: str, hint: str) -> Exception:
    from opa._util.words import kind_of
    from opa.errors import RegistrationError

    return RegistrationError(
        f"'{member.uri}' in the group '{group}' is {kind_of(member.value)}, not a {wanted}",
        plugin=manager.plugin_of_module(member.module) if member.module else None,
        where="" if member.module else f"setting PLUGINS.{group}",
        hint=hint,
    )
