"""Every name and file by which a plugin says something: the one place where such a convention stands.

What looks for one takes its name from here. `docs/conventions.md` has the same table.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

Kind = Literal[
    "file",
    "comment",
    "folder",
    "module",
    "name",
    "class",
    "object",
    "decorator",
    "group",
    "method",
    "parameter",
    "entry point",
]


@dataclass(frozen=True)
class Convention:
    """A name by which a plugin says something.

    At the top of a plugin it is one of that plugin's own: `REPORT = Convention("report.py", "what /reports shows")`.
    `PluginManager.found` gives what plugins have under it.

    Attributes:
        name: what stands in a plugin. A plugin declares a name at the top of others (`router`), a module of their
            packages, which is imported with them (`report.py`), or a folder in their packages (`static/`).
        does: what becomes of it, in a few words.
        kind: what it is; for one that a plugin declares it follows from `name`.
        found_by: the module of opa-stack that looks for it; empty for that of a plugin.
        routes: makes the routes of a plugin of what was found in it: called with the name of the plugin and with that,
            when the application is built. They belong to that plugin, for ACCESS and RATE_LIMITS as in metrics.

    Raises:
        ValueError: `name` is nothing of that.
    """

    name: str
    does: str
    kind: Kind = "name"
    found_by: str = ""
    routes: Callable[[str, Any], Iterable[BaseRoute]] | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        """Tell the kind from the name."""
        if self.found_by:
            return
        kinds: dict[str, Kind] = {"": "name", ".py": "module", "/": "folder"}
        stem, suffix = re.fullmatch(r"(.*?)(\.py|/|)", self.name, re.DOTALL).groups()  # type: ignore[union-attr]
        if not (stem.isidentifier() or (suffix == "/" and re.fullmatch(r"[\w-]+", stem))):
            raise ValueError(
                f"{self.name!r} is nothing that a plugin can have: write a name, a module such as report.py,"
                " or a folder such as static/"
            )
        object.__setattr__(self, "kind", kinds[suffix])

    @property
    def module(self) -> str:
        """The name by which a module of a package is imported: `tasks` for `tasks.py`."""
        return self.name.removesuffix(".py")


METADATA_OF_MODULE = Convention(
    "NAME-meta.json", "metadata of the plugin NAME.py: version, requirements, tags", "file", "loading/metadata.py"
)
METADATA_OF_PACKAGE = Convention("meta.json", "the same, of a package", "file", "loading/metadata.py")
PYPROJECT = Convention(
    "pyproject.toml", "the same, in its table [tool.opa]; a key in meta.json wins", "file", "loading/metadata.py"
)
INLINE_METADATA = Convention(
    "/// script", "the packages and the Python that a plugin needs (PEP 723)", "comment", "loading/inline_metadata.py"
)
ENTRY_POINTS = Convention(
    "opa.plugins", "an installed package is a plugin, without being named", "entry point", "loading/installed.py"
)
TASKS = Convention("tasks.py", "imported with the package, so its tasks are there", "module", "loading/importing.py")
APPS = Convention(
    "apps.py", "imported with the package; may have ready, startup and shutdown", "module", "loading/importing.py"
)
LIFECYCLE = Convention("lifecycle.py", "the same, behind apps.py", "module", "loading/importing.py")
EVENTS = Convention(
    "events.py", "imported with the package, so its handlers of events are there", "module", "loading/importing.py"
)
ROUTER = Convention("router", "an APIRouter, whose routes are in the application", "name", "core/register.py")
MIDDLEWARE = Convention("middleware", "a list of Starlette's Middleware, around all routes", "name", "core/register.py")
EXCEPTION_HANDLERS = Convention(
    "exception_handlers", "maps exception classes and status codes to their handlers", "name", "core/register.py"
)
READY = Convention("ready", "called once a process, when all components are connected", "name", "core/lifecycle.py")
STARTUP = Convention("startup", "called once a process, after ready of all plugins", "name", "core/lifecycle.py")
SHUTDOWN = Convention("shutdown", "called when the process stops", "name", "core/lifecycle.py")
COMMANDS = Convention("commands", "a Typer application, which is the command opa NAME", "name", "cli/plugin_group.py")
COMMANDS_MODULE = Convention(
    "commands.py", "of a package: may have it too; imported for a command only", "file", "loading/plugin_commands.py"
)
HOOK_DEFINITION = Convention("HookDefinition", "a point that hooks of other plugins fill", "class", "core/register.py")
HOOK = Convention("Hook", "fills it; the one with the highest order is called", "class", "core/register.py")
DRIVER = Convention("Driver", "connects to a kind of service, for components", "class", "core/register.py")
SETUP = Convention("Setup", "runs once a process, when all components are connected", "class", "core/register.py")
SETTINGS = Convention("PluginSettings", "the model of the plugin's own settings", "class", "core/register.py")
OWN = Convention(
    "Convention",
    "an instance at the top: a convention of the plugin's own",
    "object",
    "loading/importing.py",
)
STATIC = Convention(
    "static/", "files that are served below /static/NAME/", "folder", "plugins/static_files/__init__.py"
)
MIGRATIONS = Convention(
    "migrations/", "what opa migrate runs, in the order of its numbers", "folder", "plugins/migrations/convention.py"
)
ADMIN = Convention(
    "admin.py", "imported with the package, so its admin panels are there", "module", "plugins/admin_panels/__init__.py"
)
TASK = Convention("task", "makes a background task of a function", "decorator", "tasks/decorator.py")
ON = Convention("on", "makes a handler of events of a function", "decorator", "events/handlers.py")
REGISTER = Convention("register", "adds a function or class to a group", "decorator", "core/running.py")
MIDDLEWARE_GROUP = Convention(
    "middleware", "ASGI middleware and request processors, outside of those of plugins", "group", "core/groups.py"
)
STARTUP_GROUP = Convention("startup", "functions that are called after startup of plugins", "group", "core/lifespan.py")
SHUTDOWN_GROUP = Convention(
    "shutdown", "functions that are called before shutdown of plugins", "group", "core/lifespan.py"
)
AUTHENTICATORS_GROUP = Convention(
    "authenticators", "find out who is calling, in order", "group", "access/authenticators.py"
)
TASK_OBSERVERS_GROUP = Convention(
    "task_observers", "are told what becomes of tasks", "group", "tasks/observing/observers.py"
)
CONSOLE_PAGES_GROUP = Convention("console_pages", "pages of the console", "group", "http/console_page.py")
CONSOLE_CARDS_GROUP = Convention(
    "console_cards", "cards on the start page of the console", "group", "http/console_page.py"
)
ADMIN_PANELS_GROUP = Convention("admin_panels", "what `admin.register` has made", "group", "admin/panels.py")
ADMIN_PAGES_GROUP = Convention("admin_pages", "what `admin.page` has made", "group", "admin/panels.py")
TASK_FAILED_GROUP = Convention(
    "on_task_failed",
    "functions that are called when a task has failed for the last time",
    "group",
    "tasks/observing/listening.py",
)
TASK_DEAD_GROUP = Convention(
    "on_task_dead",
    "functions that are called when a task is given up, or a message is none",
    "group",
    "tasks/observing/listening.py",
)
SCHEDULE_MISSED_GROUP = Convention(
    "on_schedule_missed",
    "functions that are called when a schedule could not be sent in time",
    "group",
    "tasks/beat/missed.py",
)
EVENT_HANDLERS_GROUP = Convention(
    "event_handlers", "what `on` has made, for events that are emitted", "group", "events/names.py"
)
AROUND_PROCESS_GROUP = Convention(
    "around_process",
    "give a context for as long as a process of the api, of a worker or of beat serves",
    "group",
    "core/around_process.py",
)
BEFORE_BEAT_GROUP = Convention(
    "before_beat", "functions that beat calls, and waits for, before it sends anything", "group", "core/before_beat.py"
)
LOG_FIELDS_GROUP = Convention(
    "log_fields", "functions that give fields for each line of the log", "group", "bootstrap.py"
)
REQUEST_OBSERVERS_GROUP = Convention(
    "request_observers", "are told of each request, such as for metrics", "group", "http/observers.py"
)
COMPONENT_OBSERVERS_GROUP = Convention(
    "component_observers", "are told of calls that wait for a component", "group", "core/component_observers.py"
)
CONFIGURE = Convention("configure", "of a member of a group: is given its OPTS", "method", "core/groups.py")
PROCESS = Convention(
    "process", "of a member of the group middleware: is given each request", "method", "http/processors.py"
)
REQUEST = Convention(
    "request", "the first of a function in the group middleware: the same", "parameter", "http/processors.py"
)

CONVENTIONS: tuple[Convention, ...] = (
    *(METADATA_OF_MODULE, METADATA_OF_PACKAGE, PYPROJECT, INLINE_METADATA, ENTRY_POINTS),
    *(TASKS, EVENTS, APPS, LIFECYCLE),
    *(ROUTER, MIDDLEWARE, EXCEPTION_HANDLERS, READY, STARTUP, SHUTDOWN),
    *(COMMANDS, COMMANDS_MODULE),
    *(HOOK_DEFINITION, HOOK, DRIVER, SETUP, SETTINGS, OWN),
    *(STATIC, MIGRATIONS, ADMIN),
    *(TASK, ON, REGISTER),
    *(MIDDLEWARE_GROUP, STARTUP_GROUP, SHUTDOWN_GROUP, AUTHENTICATORS_GROUP),
    *(REQUEST_OBSERVERS_GROUP, TASK_OBSERVERS_GROUP, COMPONENT_OBSERVERS_GROUP),
    EVENT_HANDLERS_GROUP,
    *(TASK_FAILED_GROUP, TASK_DEAD_GROUP, SCHEDULE_MISSED_GROUP, LOG_FIELDS_GROUP, AROUND_PROCESS_GROUP),
    BEFORE_BEAT_GROUP,
    *(CONFIGURE, PROCESS, REQUEST),
    *(CONSOLE_PAGES_GROUP, CONSOLE_CARDS_GROUP),
    *(ADMIN_PANELS_GROUP, ADMIN_PAGES_GROUP),
)


BUILT_IN = "plugins/"
"""In `found_by`: a built-in plugin declares it, as one of a user's declares its own."""


def of_kind(kind: Kind) -> tuple[Convention, ...]:
    """Those of one kind, in the order of the table."""
    return tuple(convention for convention in CONVENTIONS if convention.kind == kind)


def declared_in(module: ModuleType) -> Iterator[Convention]:
    """Those that stand at the top of a plugin."""
    # Not `isinstance`: it asks a proxy what it stands for.
    values = list(vars(module).values())
    return (value for value in values if type(value) is Convention) if Convention in map(type, values) else iter(())
