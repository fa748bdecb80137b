"""Counts the requests of one application: in redis where there is one, and otherwise as the settings say."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, Literal, Protocol

from opa.errors import ComponentUnavailableError
from opa.http.rate_limits.window import Demand, LocalCounts, Outcome
from opa.logging.logger import log

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opa.core.drivers import Driver
    from opa.http.rate_limits.shared import SharedCounts
    from opa.settings.load import Config

COMPONENT: Final = "aioredis"
"""The component whose redis counts."""

Without = Literal["local", "allow", "refuse"]
_WORDS: Final[Mapping[Without, str]] = {
    "local": "each process counts by itself",
    "allow": "no request is counted, and none is refused",
    "refuse": "limited routes answer 503",
}


class Manager(Protocol):
    """What is needed of the plugin manager."""

    @property
    def config(self) -> Config:
        """Its settings."""

    @property
    def optional_components(self) -> Mapping[str, Driver]:
        """The components that are connected."""


class Counter:
    """Counts the requests of one application in this process.

    Attributes:
        prefix: of the keys.
    """

    def __init__(self, manager: Manager) -> None:
        config = manager.config
        self.prefix = f"opa:{config.PROJECT_ID or config.PROJECT_NAME}:rate:"
        self._manager = manager
        self._without: Without = config.RATE_LIMITS_WITHOUT_REDIS
        self._local = LocalCounts()
        self._shared: SharedCounts | None = None
        self._has_redis: bool | None = None

    async def take(self, demands: Sequence[Demand]) -> Outcome | None:
        """Count a request, where all of its limits let it pass, or else by none.

        Returns:
            None where it is not counted, because there is no redis.

        Raises:
            ComponentUnavailableError: there is no redis, and the settings want none to pass then.
        """
        component = self._manager.optional_components.get(COMPONENT)
        if component is None:
            return self._take_without("it is not connected", demands)
        from redis.exceptions import RedisError

        try:
            outcome = await self._counts_in(component.get_instance()).take(demands)
        except TimeoutError as error:  # of our own, of which the client has not heard
            component.breaker.suspect()
            return self._take_without(f"no answer in time ({type(error).__name__})", demands)
        except (RedisError, OSError) as error:
            return self._take_without(f"{type(error).__name__}: {error}", demands)
        if self._has_redis is not True:
            self._note(has_redis=True)
        return outcome

    def _counts_in(self, client: object) -> SharedCounts:
        if self._shared is None or self._shared.client is not client:
            from opa.http.rate_limits.shared import SharedCounts

            self._shared = SharedCounts(client)
        return self._shared

    def _take_without(self, reason: str, demands: Sequence[Demand]) -> Outcome | None:
        if self._has_redis is not False:
            self._note(has_redis=False, reason=reason)
        if self._without == "refuse":
            raise ComponentUnavailableError("rate limits cannot be counted without redis", component=COMPONENT)
        return self._local.take(demands, time.monotonic()) if self._without == "local" else None

    def _note(self, *, has_redis: bool, reason: str = "") -> None:
        if not has_redis:
            words = _WORDS[self._without]
            log.warning("rate limits: component '{}' does not count ({}); {} until it does", COMPONENT, reason, words)
        elif self._has_redis is False:
            log.info("rate limits: component '{}' counts again", COMPONENT)
        self._has_redis = has_redis
