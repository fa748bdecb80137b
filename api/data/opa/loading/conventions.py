"""Every name and file by which a plugin says something: the one place where such a convention stands.

What looks for one takes its name from here. `docs/conventions.md` has the same table.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["file", "module", "name", "class", "decorator", "group", "method", "parameter", "entry point"]


@dataclass(frozen=True)
class Convention:
    """A name by which a plugin says something.

    Attributes:
        name: what stands in the plugin, such as `router` or `tasks.py`.
        kind: a file beside the plugin, a module of its package, a name at its top, a subclass, …
        found_by: the module of opa-stack that looks for it.
        does: what becomes of it.
    """

    name: str
    kind: Kind
    found_by: str
    does: str

    @property
    def module(self) -> str:
        """The name by which a module of a package is imported: `tasks` for `tasks.py`."""
        return self.name.removesuffix(".py")


METADATA_OF_MODULE = Convention(
    "NAME-meta.json", "file", "loading/metadata.py", "metadata of the plugin NAME.py: version, requirements, tags"
)
METADATA_OF_PACKAGE = Convention("meta.json", "file", "loading/metadata.py", "the same, of a package")
PYPROJECT = Convention(
    "pyproject.toml", "file", "loading/metadata.py", "the same, in its table [tool.opa]; a key in meta.json wins"
)
ENTRY_POINTS = Convention(
    "opa.plugins", "entry point", "loading/installed.py", "an installed package is a plugin, without being named"
)
TASKS = Convention("tasks.py", "module", "loading/importing.py", "imported with the package, so its tasks are there")
APPS = Convention(
    "apps.py", "module", "loading/importing.py", "imported with the package; may have ready, startup and shutdown"
)
LIFECYCLE = Convention("lifecycle.py", "module", "loading/importing.py", "the same, behind apps.py")
ROUTER = Convention("router", "name", "core/register.py", "an APIRouter, whose routes are in the application")
MIDDLEWARE = Convention("middleware", "name", "core/register.py", "a list of Starlette's Middleware, around all routes")
EXCEPTION_HANDLERS = Convention(
    "exception_handlers", "name", "core/register.py", "maps exception classes and status codes to their handlers"
)
READY = Convention("ready", "name", "core/lifecycle.py", "called once a process, when all components are connected")
STARTUP = Convention("startup", "name", "core/lifecycle.py", "called once a process, after ready of all plugins")
SHUTDOWN = Convention("shutdown", "name", "core/lifecycle.py", "called when the process stops")
HOOK_DEFINITION = Convention("HookDefinition", "class", "core/register.py", "a point that hooks of other plugins fill")
HOOK = Convention("Hook", "class", "core/register.py", "fills it; the one with the highest order is called")
DRIVER = Convention("Driver", "class", "core/register.py", "connects to a kind of service, for components")
SETUP = Convention("Setup", "class", "core/register.py", "runs once a process, when all components are connected")
SETTINGS = Convention("PluginSettings", "class", "core/register.py", "the model of the plugin's own settings")
TASK = Convention("task", "decorator", "tasks/decorator.py", "makes a background task of a function")
REGISTER = Convention("register", "decorator", "core/running.py", "adds a function or class to a group")
MIDDLEWARE_GROUP = Convention(
    "middleware", "group", "core/groups.py", "ASGI middleware and request processors, outside of those of plugins"
)
STARTUP_GROUP = Convention("startup", "group", "core/lifespan.py", "functions that are called after startup of plugins")
SHUTDOWN_GROUP = Convention(
    "shutdown", "group", "core/lifespan.py", "functions that are called before shutdown of plugins"
)
CONFIGURE = Convention("configure", "method", "core/groups.py", "of a member of a group: is given its OPTS")
PROCESS = Convention(
    "process", "method", "http/processors.py", "of a member of the group middleware: is given each request"
)
REQUEST = Convention(
    "request", "parameter", "http/processors.py", "the first of a function in the group middleware: the same"
)

CONVENTIONS: tuple[Convention, ...] = (
    *(METADATA_OF_MODULE, METADATA_OF_PACKAGE, PYPROJECT, ENTRY_POINTS),
    *(TASKS, APPS, LIFECYCLE),
    *(ROUTER, MIDDLEWARE, EXCEPTION_HANDLERS, READY, STARTUP, SHUTDOWN),
    *(HOOK_DEFINITION, HOOK, DRIVER, SETUP, SETTINGS),
    *(TASK, REGISTER),
    *(MIDDLEWARE_GROUP, STARTUP_GROUP, SHUTDOWN_GROUP, CONFIGURE, PROCESS, REQUEST),
)


def of_kind(kind: Kind) -> tuple[Convention, ...]:
    """Those of one kind, in the order of the table."""
    return tuple(convention for convention in CONVENTIONS if convention.kind == kind)
