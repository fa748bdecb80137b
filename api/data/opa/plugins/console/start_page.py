"""The first page: what needs attention, the components, and what was loaded."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterator
from time import time
from typing import Any

from starlette.requests import Request

from opa import ConsoleCard, Setup, __version__, get_plugin_manager
from opa.introspection import ComponentInfo, PluginInfo, components_of, plugins_of, routes_of
from opa.plugins.console.added import html_of, members
from opa.plugins.console.attention import Attention
from opa.plugins.console.page import Context
from opa.plugins.console.patience import NotYetError, deadline, patience
from opa.plugins.console.processes import Running, what_runs
from opa.plugins.console.readers import Reader
from opa.plugins.console.runs_page import RUNS
from opa.plugins.console.task_attention import of_missing, of_tasks

_STARTED = f"{__name__}.started"
LIFE = 1.0
"""Seconds for which that is taken for what it is."""
GRACE = 60.0
"""Seconds in which a worker has started, after the api."""
_IS_FINE = frozenset({"connected", "not loaded"})


class Started(Setup):
    """Notes when this process started to serve."""

    def __init__(self, pm: Any) -> None:
        pm.kept[_STARTED] = time()


async def context(request: Request, reader: Reader) -> Context:
    """What the template needs."""
    manager = get_plugin_manager()
    plugins, components = plugins_of(manager), components_of(manager)
    own = [plugin for plugin in plugins if not plugin.built_in]
    cards = [
        (member.title, await html_of(name, member.body, request))
        for name, member in members(ConsoleCard)
        if reader.can(member.scope)
    ]
    since: float | None = manager.kept.get(_STARTED)
    running, of_others = await _of_servers(reader)
    return {
        "attention": [*_attention(plugins, components), *_missing(running, since), *of_others],
        "components": components,
        "loaded": sum(plugin.status == "loaded" for plugin in own),
        "skipped": sum(plugin.status != "loaded" for plugin in own),
        "routes": sum(not route.built_in for route in routes_of(request.app)),
        "version": __version__,
        "process": os.getpid(),
        "host": socket.gethostname(),
        "since": since,
        "groups": running.groups,
        "deploy": running.deploy,
        "cards": cards,
    }


async def _of_servers(reader: Reader) -> tuple[Running, list[Attention]]:
    """What runs, and what needs attention of tasks: what redis and the broker say within the time of a page."""

    async def attention() -> list[Attention]:
        return [found async for found in of_tasks(reader)]

    until = deadline()
    running, found = await asyncio.gather(
        patience().ask("processes", what_runs, life=LIFE, until=until),
        patience().ask(("attention", reader.can(RUNS)), attention, life=LIFE, until=until),
        return_exceptions=True,
    )
    late = [error for error in (running, found) if isinstance(error, NotYetError)]
    for error in (running, found):
        if isinstance(error, BaseException) and error not in late:
            raise error
    more = (
        [Attention("Redis or the broker has not answered yet", "This page follows.", "", is_mild=True)] if late else []
    )
    return (
        running if isinstance(running, Running) else Running(),
        [*(found if isinstance(found, list) else ()), *more],
    )


def _attention(plugins: list[PluginInfo], components: list[ComponentInfo]) -> Iterator[Attention]:
    for plugin in plugins:
        if plugin.status == "broken":
            yield Attention(f"Plugin {plugin.name} is broken", " ".join(plugin.reasons), f"/plugins/{plugin.name}")
    for component in components:
        if component.status not in _IS_FINE:
            yield Attention(f"Component {component.name}: {component.status}", component.reason, "")


def _missing(running: Running, since: float | None) -> Iterator[Attention]:
    """What does not run, and should; at the start of all of them, it may be about to."""
    if running.groups is not None and since is not None and time() - since > GRACE:
        yield from of_missing({group.mode for group in running.groups})
