"""The published keys of an issuer: fetched when a token needs them, kept for a while, and fetched anew as they change.

Whatever tokens are sent, the issuer is asked once at a time, and at most every 30 seconds. While it does not answer,
the keys that it had last are used.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import monotonic
from typing import Generic, TypeVar

from anyio import CapacityLimiter, to_thread
from joserfc.jwk import Key

from opa.errors import ComponentUnavailableError, RefusedCredentialError
from opa.jwt.download import DownloadError
from opa.jwt.keys import PublishedKeys
from opa.logging.logger import log

Published = TypeVar("Published", bound=PublishedKeys)

TIMEOUT = 5.0
"""Seconds for the issuer to answer."""
BETWEEN_FETCHES = 30.0
"""Seconds from one fetch to the next, though tokens with unknown keys arrive."""
WITHOUT_KEYS = 5.0
"""The same as long as there are no keys, and every request is answered 503."""
PATIENCE = 1.0
"""Seconds for which a request waits for an issuer that did not answer the last time. Anyone can send a request that
does, so they must not add up."""


class RemoteKeys(Generic[Published]):
    """The keys of one issuer, with whatever else is fetched with them.

    Args:
        issuer: for the log.
        fetch: gets them, in a thread, until the time that it is given.
        refresh: seconds after which they are fetched again.
        keep: seconds that they are used while they cannot be fetched.
        otherwise: what happens without any, for the log.
    """

    def __init__(
        self,
        issuer: str,
        fetch: Callable[[float], Published],
        *,
        refresh: float,
        keep: float,
        otherwise: str = "Its tokens are answered 503",
    ) -> None:
        self._issuer = issuer
        self._fetch = fetch
        self._refresh = refresh
        self._keep = keep
        self._otherwise = otherwise
        self._keys: Published | None = None
        self._fetched = self._tried = float("-inf")
        self._has_failed = False
        self._running: asyncio.Task[None] | None = None

    async def find(self, kid: str | None, algorithm: str) -> Key:
        """The key with this id that signs with `algorithm`; without an id, the only one that does.

        Raises:
            RefusedCredentialError: there is none.
            ComponentUnavailableError: no keys can be had, or not since too long a time.
        """
        keys = await self.current()
        key = keys.find(kid, algorithm)
        if key is None and await self._fetched_again(BETWEEN_FETCHES):
            key = (self._keys or keys).find(kid, algorithm)
        if key is None:
            raise RefusedCredentialError("the issuer has no key with the id of a token, or it does not sign like that")
        return key

    async def current(self) -> Published:
        """All of them.

        Raises:
            ComponentUnavailableError: they cannot be had, or not since too long a time.
        """
        age = monotonic() - self._fetched
        if self._keys is None or age > self._refresh + self._keep:
            await self._fetched_again(WITHOUT_KEYS)
            age = monotonic() - self._fetched
        elif age > self._refresh:
            # Keys that were taken back must not be used once more. Where it has just not answered, nobody waits for it.
            task = self._start(BETWEEN_FETCHES)
            if task is not None and not self._has_failed:
                await asyncio.shield(task)
        if self._keys is None or age > self._refresh + self._keep:
            raise ComponentUnavailableError(f"the keys of the issuer {self._issuer} cannot be had", component="jwt")
        return self._keys

    async def _fetched_again(self, interval: float) -> bool:
        """Fetch them, or wait for whoever does; false where that was done just now, or takes too long."""
        task = self._start(interval)
        if task is None:
            return False
        # Without an end to the task: it is not only this request that waits for it.
        done, _ = await asyncio.wait([task], timeout=PATIENCE if self._has_failed else None)
        for each in done:
            each.result()
        return bool(done)

    def _start(self, interval: float) -> asyncio.Task[None] | None:
        loop = asyncio.get_running_loop()
        if self._running is not None and not self._running.done() and self._running.get_loop() is loop:
            return self._running
        if monotonic() - self._tried < interval:
            return None
        self._tried = monotonic()
        self._running = loop.create_task(self._fetch_now(), name=f"keys of {self._issuer}")
        return self._running

    async def _fetch_now(self) -> None:
        begun = monotonic()
        try:
            # Beside the threads of routes: those may all be busy.
            async with asyncio.timeout(TIMEOUT + 1):
                self._keys = await to_thread.run_sync(
                    self._fetch, begun + TIMEOUT, abandon_on_cancel=True, limiter=CapacityLimiter(1)
                )
        except (DownloadError, TimeoutError) as error:
            self._has_failed = True
            log.warning(
                "The keys of the issuer {} cannot be had: {}. {}",
                self._issuer,
                error if isinstance(error, DownloadError) else "it did not answer in time",
                "Its last ones are used meanwhile" if self._keys else self._otherwise,
            )
        else:
            self._has_failed = False
            self._fetched = begun
