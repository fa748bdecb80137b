"""The members of the group `task_observers`, and how they are told."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from opa.loading.conventions import TASK_OBSERVERS_GROUP
from opa.logging.logger import log
from opa.tasks.headers import SENT_AT
from opa.tasks.observing.observer import EVENTS, TaskObserver
from opa.tasks.observing.run import TaskRun, made, queue_in, run_of

if TYPE_CHECKING:
    from opa.core.manager import PluginManager

GROUP = TASK_OBSERVERS_GROUP.name
SENT_AGAIN = "sent again"


class Observers:
    """Those of one application; it is made where there is one at least."""

    def __init__(self, manager: PluginManager) -> None:
        self._manager = manager
        self._members: Mapping[str, Any] | None = None
        self._told: dict[str, tuple[Callable[..., None], ...]] = {}
        self._plugins: dict[str, str] = {}
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
        run = made(
            {
                "id": headers["id"],
                "task": name,
                "plugin": self.plugin_of(name),
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
        run = TaskRun(task_id, task, self.plugin_of(task), queue, sent_at=time.time(), reason=SENT_AGAIN)
        self.tell("sent", run)

    def tell_end(self, event: str, fields: Mapping[str, Any], **more: Any) -> None:
        """Tell the end of a run of which a message is known, with the time of this moment.

        Args:
            fields: as `run_of` has them.
            more: fields of the run.
        """
        if self.hear(event):
            run = run_of(fields, self.plugin_of(fields["task"]))
            self.tell(event, run.changed(ended_at=time.time(), **more))

    def stop(self) -> None:
        """Tell them that the process ends."""
        for method in self._of("stop"):
            try:
                method()
            except Exception as error:  # noqa: BLE001 - any plugin's
                self._note(method, "stop", error)

    def plugin_of(self, task: str) -> str:
        """The plugin that a task belongs to; empty where it belongs to none."""
        plugin = self._plugins.get(task)
        if plugin is None:
            function = self._manager.celery.functions().get(task)
            if function is None:  # anyone can send any name, and a name more each time
                return ""
            plugin = self._plugins[task] = self._manager.plugin_of_module(function.__module__) or ""
        return plugin

    def _of(self, event: str) -> tuple[Callable[..., None], ...]:
        members = self._manager.groups.get(GROUP)
        if members is not self._members:  # it is another one when a plugin is skipped
            self._told = {each: _methods(members, each) for each in EVENTS}
            self._members = members
        return self._told[event]

    def _note(self, method: Callable[..., None], event: str, error: Exception) -> None:
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


def _methods(members: Mapping[str, Any], event: str) -> tuple[Callable[..., None], ...]:
    base = getattr(TaskObserver, event)
    return tuple(
        getattr(member, event) for member in members.values() if getattr(type(member), event, None) not in (None, base)
    )


def observers_of(manager: PluginManager) -> Observers | None:
    """The observers of an application; None where there is none, and nothing is to be told.

    Raises:
        RegistrationError: a member of the group is no observer.
    """
    members = manager.groups.members(GROUP)
    for member in members:
        if not isinstance(member.value, TaskObserver):
            raise _unfit(manager, member.uri, member.value, member.module)
    return Observers(manager) if members else None


def _unfit(manager: PluginManager, uri: str, value: Any, module: str) -> Exception:
    from opa._util.words import kind_of
    from opa.errors import RegistrationError

    return RegistrationError(
        f"'{uri}' in the group '{GROUP}' is {kind_of(value)}, not a TaskObserver",
        plugin=manager.plugin_of_module(module) if module else None,
        where="" if module else f"setting PLUGINS.{GROUP}",
        hint="Make it a class that derives from opa.TaskObserver, or an object of one",
    )
