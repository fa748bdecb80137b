"""The application of a test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeVar

from opa._util.suggestions import nearest
from opa.access.authenticators import GROUP
from opa.bootstrap import prepare
from opa.core.manager import PluginManager
from opa.errors import ComponentUnavailableError, OpaError
from opa.http.builder import build_app
from opa.settings.load import Config
from opa.testing.actors import Actors
from opa.testing.components import explain_what_is_off, put_in_place
from opa.testing.isolation import stop_intercepting
from opa.testing.life import Life
from opa.testing.tasks import OpaTasks

if TYPE_CHECKING:
    from fastapi import FastAPI

__tracebackhide__ = True  # for pytest, which shows the line of the test

Result = TypeVar("Result")


class OpaApp:
    """An application with the plugins of the project: what the fixture `opa_app` gives.

    Attributes:
        fastapi: the FastAPI application.
        manager: the plugin manager.
        config: the settings.
        tasks: those that were sent; what the fixture `opa_tasks` gives.
        life: starts and stops it.
        actors: who is signed in.
        raises: whether what a route raises is raised in the test.
    """

    def __init__(self, config: Config, *, are_tasks_eager: bool, raises: bool) -> None:
        self.config = config
        self.raises = raises
        self.actors = Actors()
        self.manager: PluginManager = prepare(config, mode="api")
        self.manager.groups.put_first(GROUP, self.actors.authenticate, uri="opa.testing")
        app = build_app(self.manager)
        self.fastapi: FastAPI = app
        self.life = Life(app)
        self.tasks = OpaTasks(self.manager, self.life, self.start, is_eager=are_tasks_eager)
        stop_intercepting()

    def plugin(self, name: str) -> ModuleType:
        """The module of a plugin, as it is loaded in this application.

        Raises:
            OpaError: it is not loaded.
        """
        loaded = {found.plugin.name: found.plugin.module for found in self.manager.registry.objects}
        if name not in loaded:
            own = sorted(
                found.plugin.name for found in self.manager.registry.objects if not found.plugin.file.is_built_in
            )
            near = nearest(name, loaded)
            known = f"Plugins: {', '.join(own) or 'none'}"
            hint = f"Did you mean '{near}'? {known}" if near else known
            raise OpaError(f"no plugin '{name}' is loaded in this test", hint=hint)
        return loaded[name]

    def component(self, name: str) -> Any:
        """The instance of a component; case does not matter. The application is started for it.

        Raises:
            ComponentUnavailableError: it is not there; the message says why.
        """
        self.start()
        try:
            return self.manager.get_component(name).get_instance()
        except ComponentUnavailableError as error:
            raise ComponentUnavailableError(error.problem, component=error.component) from None

    def run(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Call a function on the event loop of the application, which is started for it, and await what it gives.

        Raises:
            OpaError: this code runs on that loop itself, and would wait for itself.
        """
        if self.life.is_here:
            raise OpaError(
                "run() would wait for the event loop that it is called on", hint="Call the function, and await it"
            )
        self.start()
        assert self.life.portal is not None  # noqa: S101 - start() has made it
        return self.life.portal.call(lambda: self.life.here(function, *args, **kwargs))

    def start(self) -> None:
        """Start it in a thread of its own, unless it runs.

        Raises:
            OpaError: a plugin does not start, or a component does not connect.
        """
        if self.life.loop is None:
            self.life.start_beside()
            self._has_started()

    def stop(self) -> None:
        """Stop it where it runs in a thread of its own.

        Raises:
            OpaError: a plugin does not stop as it should.
        """
        self.life.stop_beside()

    @asynccontextmanager
    async def started_here(self) -> AsyncIterator[None]:
        """It runs, in the block, on the event loop that runs.

        Raises:
            OpaError: a plugin does not start or stop as it should.
        """
        await self.life.start_here()
        self._has_started()
        try:
            yield
        finally:
            await self.life.stop_here()

    def put_in_place(self, name: str, fake: Any) -> None:
        """Have a component be `fake` from now on."""
        put_in_place(self.manager, name, fake)

    def _has_started(self) -> None:
        explain_what_is_off(self.manager)
        stop_intercepting()
