"""The processes that serve, as they say so themselves, and the last deploy."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from opa import ComponentUnavailableError, get_plugin_manager
from opa.plugins.console.deploys import Deploy, last_deploy
from opa.plugins.console.presence import COMPONENT, described, prefix_of
from opa.redis_clients import outages_of, text_of

MOST = 1000
"""Processes that are read."""
MODES = ("api", "worker", "beat")


@dataclass(frozen=True)
class Group:
    """Processes of one kind on one host, with one version.

    Attributes:
        mode: `api`, `worker` or `beat`.
        host: the name of the machine, or of the container.
        pids: of the processes, in order.
        version: of opa-stack.
        project: version of the project.
        since: when the oldest of them has begun to serve.
    """

    mode: str
    host: str
    pids: tuple[int, ...]
    version: str
    project: str
    since: float


@dataclass(frozen=True)
class Running:
    """What runs.

    Attributes:
        groups: in the order of `MODES`; None if redis, which knows, does not answer.
        deploy: the last one; None where none is known.
    """

    groups: tuple[Group, ...] | None = None
    deploy: Deploy | None = None


async def what_runs() -> Running:
    """What runs at the moment."""
    manager = get_plugin_manager()
    component = manager.optional_components.get(COMPONENT)
    if component is None:
        return Running()
    client, prefix = component.get_instance(), prefix_of(manager.config)
    try:
        with outages_of(COMPONENT, "the processes that serve"):
            async with client.pipeline(transaction=False) as pipe:
                pipe.zrange(f"{prefix}processes", 0, MOST - 1)
                pipe.hgetall(f"{prefix}deployed")
                ids, deployed = await pipe.execute()
            said = await client.mget([f"{prefix}process:{text_of(each)}" for each in ids]) if ids else []
    except ComponentUnavailableError:
        return Running()
    texts = {text_of(mode): text_of(text) for mode, text in deployed.items()}
    return Running(_groups(filter(None, map(described, said))), last_deploy(texts))


def _groups(processes: Iterable[Mapping[str, Any]]) -> tuple[Group, ...]:
    found: dict[tuple[str, ...], list[Mapping[str, Any]]] = {}
    for each in processes:
        if each["mode"] in MODES:
            found.setdefault((each["mode"], each["host"], each["version"], each["project"]), []).append(each)
    groups = [
        Group(
            mode, host, tuple(sorted(each["pid"] for each in group)), version, project, min(s["since"] for s in group)
        )
        for (mode, host, version, project), group in found.items()
    ]
    return tuple(sorted(groups, key=lambda group: (MODES.index(group.mode), group.host, group.since)))
