"""Each process says in redis that it is there, from a thread of its own: on the start page, others are seen.

Celery can be asked for its workers too, by a command to which they answer. That knows neither the api nor beat, takes a
second for each page, and is not answered by a worker whose children are all busy starting.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from time import time
from typing import TYPE_CHECKING, Any

from opa import __version__, at_fork, get_plugin_manager, log
from opa.plugins.console.deploys import deployed

if TYPE_CHECKING:
    from opa import PluginManager

COMPONENT = "aioredis"
"""The component in whose redis they are."""
INTERVAL = 10.0
LIFE = 30
"""Seconds after which a process that says nothing is gone."""
LONGEST = 4096
"""Bytes of what a process has said: a page has a thousand of them."""
KEPT_DEPLOYS = 400 * 24 * 3600
FORK_LIMIT = 0.5
"""Seconds that a fork waits for the thread."""
LAST_WRITE_LIMIT = 2.0
"""Seconds that a process that ends waits for redis."""

ANNOUNCE = """
local now, life = tonumber(redis.call('TIME')[1]), tonumber(ARGV[3])
redis.call('zadd', KEYS[1], now, ARGV[1])
redis.call('zremrangebyscore', KEYS[1], '-inf', now - life)
redis.call('expire', KEYS[1], life)
redis.call('set', KEYS[2], ARGV[2], 'ex', life)
"""
DEPLOYED = """
local before = redis.call('hget', KEYS[1], ARGV[1])
if not before or string.sub(before, 1, #ARGV[2]) ~= ARGV[2] then
    redis.call('hset', KEYS[1], ARGV[1], ARGV[2] .. ARGV[3])
    if before then redis.call('hset', KEYS[1], ARGV[1] .. ':before', before) end
end
redis.call('expire', KEYS[1], tonumber(ARGV[4]))
"""
"""ARGV: mode, digest of what is deployed, that itself as JSON, seconds. What was there before is kept beside it."""


def prefix_of(config: Any) -> str:
    """What all keys begin with."""
    return f"opa:{config.PROJECT_ID or config.PROJECT_NAME}:"


@contextmanager
def present() -> Iterator[None]:
    """This process is there: a member of the group `around_process`."""
    manager = get_plugin_manager()
    state = manager.component_states.get(COMPONENT)
    if state is None or not hasattr(state.driver, "new_thread_client"):
        yield
        return
    presence = Presence(manager, state)
    try:
        yield
    finally:
        presence.end()


class Presence:
    """The thread of this process, and what it says."""

    def __init__(self, manager: PluginManager, state: Any) -> None:
        self._manager = manager
        self._state = state
        self._prefix = prefix_of(manager.config)
        self._id = secrets.token_hex(6)
        self._pid = os.getpid()
        # Empty where a program of its own serves the application.
        self._mode = manager.mode or "api"
        self._said = json.dumps(
            {
                "mode": self._mode,
                "host": socket.gethostname(),
                "pid": self._pid,
                "version": __version__,
                "project": str(manager.config.PROJECT_VERSION),
                "since": round(time(), 3),
            }
        )
        self._ends = threading.Event()
        self._has_told = self._is_away = self._is_held = False
        # Before the thread begins: a child that is forked during an import waits for it, and for ever.
        import encodings.idna  # noqa: F401 - of each look-up of a host

        import redis

        self._errors = (redis.RedisError, OSError, ValueError)
        self._client = state.driver.new_thread_client()
        self._announce = self._client.register_script(ANNOUNCE)
        self._busy = threading.Lock()
        if manager.mode == "worker":
            at_fork(before=self._hold, after_in_parent=self._let_go, after_in_child=self._let_go)
        self._thread = threading.Thread(target=self._run, name="presence", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """It is gone; in a child that was forked nothing happens."""
        if os.getpid() != self._pid:
            return
        self._ends.set()
        self._thread.join(LAST_WRITE_LIMIT)

    def _run(self) -> None:
        while True:
            try:
                self._say()
            except self._errors as error:
                if self._is_not_here(error):
                    return
                if not self._is_away:
                    log.debug("the console does not know of this process, since redis does not answer: {!r}", error)
                self._is_away = True
            else:
                self._is_away = False
            if self._ends.wait(INTERVAL):
                break
        if not self._is_away:
            try:
                self._client.zrem(f"{self._prefix}processes", self._id)
                self._client.delete(f"{self._prefix}process:{self._id}")
            except self._errors as error:
                log.debug("redis does not answer at the end of this process: {!r}", error)
        self._client.close()

    def _hold(self) -> None:
        """No child is forked while the thread has locks of other libraries; but a redis that hangs holds up no fork."""
        self._is_held = self._busy.acquire(timeout=FORK_LIMIT)

    def _let_go(self) -> None:
        if self._is_held:
            self._is_held = False
            self._busy.release()

    def _say(self) -> None:
        with self._busy:
            self._write()

    def _write(self) -> None:
        keys = [f"{self._prefix}processes", f"{self._prefix}process:{self._id}"]
        self._announce(keys=keys, args=[self._id, self._said, LIFE])
        if not self._has_told:
            digest, text = deployed(self._manager)
            told = self._client.register_script(DEPLOYED)
            told(keys=[f"{self._prefix}deployed"], args=[self._mode, digest, text, KEPT_DEPLOYS])
            self._has_told = True

    def _is_not_here(self, error: BaseException) -> bool:
        """Whether there is no redis at all: the component is not loaded then either."""
        causes: tuple[BaseException | None, ...] = (error, error.__cause__, error.__context__)
        is_unknown = any(isinstance(cause, socket.gaierror) for cause in causes)
        return bool(self._state.load == "auto" and is_unknown and not self._has_told)


def described(text: Any) -> Mapping[str, Any] | None:
    """What a process has said, if it is that: others may write there too."""
    if text is None or len(text) > LONGEST:
        return None
    try:
        said = json.loads(text)
    except (ValueError, TypeError, RecursionError):
        return None
    kinds = {"mode": str, "host": str, "pid": int, "version": str, "project": str, "since": float | int}
    if not isinstance(said, dict) or not all(isinstance(said.get(name), kind) for name, kind in kinds.items()):
        return None
    return said
