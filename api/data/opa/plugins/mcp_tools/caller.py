"""Who calls a tool: the actor of a request, or whoever has started `opa mcp`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request

from opa import Actor, config, is_development

LOCAL = "opa.mcp.local_actor"
"""In the scope of a request: the actor of one that `opa mcp` makes. No server puts it there."""

_OF_THE_CONNECTION = frozenset(
    {
        *("connection", "content-encoding", "content-length", "content-type", "expect", "keep-alive", "te", "trailer"),
        *("transfer-encoding", "upgrade", "accept", "accept-encoding", "range", "if-match", "if-none-match"),
        *("if-modified-since", "if-unmodified-since", "if-range", "last-event-id", "x-request-id"),
    }
)
"""Headers of the assistant's request that say something of that request alone."""


@dataclass(frozen=True)
class Caller:
    """Who calls.

    Attributes:
        base: what the scope of a request that they make begins with.
        headers: those by which it is known who they are, in lower case.
        actor: who they are; None where nobody has to be known.
        may_send_tasks: whether they may use tasks.
        request: of the assistant; None where it has sent none.
    """

    base: Mapping[str, Any] = field(repr=False)
    headers: tuple[tuple[bytes, bytes], ...] = field(repr=False)
    actor: Actor | None
    may_send_tasks: bool
    request: Request | None = field(default=None, repr=False)


def by_request(request: Request, actor: Actor | None) -> Caller:
    """Who has sent a request over HTTP.

    Args:
        actor: who is known to have sent it; None in development.
    """
    scope = request.scope
    base = {name: scope[name] for name in ("scheme", "server", "client", "http_version", "state") if name in scope}
    headers = tuple(
        (name, value)
        for name, value in scope["headers"]
        if (text := name.decode("latin-1")) not in _OF_THE_CONNECTION and not text.startswith("mcp-")
    )
    may_send_tasks = actor is None or actor.can(TASKS)
    return Caller(base, headers, actor, may_send_tasks, request)


def on_this_machine(user: str, actor_of_key: Actor | None) -> Caller:
    """Who has started `opa mcp`.

    Args:
        user: of the system.
        actor_of_key: whose MCP_KEY is given; None without one.
    """
    base: dict[str, Any] = {"scheme": "http", "server": ("localhost", 80), "client": ("127.0.0.1", 0)}
    headers = [(b"host", _own_host().encode()), (b"user-agent", b"opa-mcp")]
    actor = actor_of_key
    if config.MCP_KEY:
        headers.append((b"authorization", f"Bearer {config.MCP_KEY}".encode()))
    elif is_development():
        actor = base[LOCAL] = Actor(id=user, kind="person", scopes=frozenset({"*"}))
    may_send_tasks = not config.MCP_KEY or (actor is not None and actor.can(TASKS))
    return Caller(base, tuple(headers), actor, may_send_tasks)


USE = "mcp:use"
TASKS = "mcp:tasks"


def _own_host() -> str:
    """A name of the api that TRUSTED_HOSTS lets pass."""
    names = [name for name in config.TRUSTED_HOSTS if name != "*"]
    if not names or "*" in config.TRUSTED_HOSTS or "localhost" in names:
        return "localhost"
    return str(names[0]).replace("*", "mcp", 1)
