"""What the driver `celery` is made of: the side that sends tasks and reads their results.

Celery is imported where a component is prepared, and not where its driver is only there.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING

from opa.core.breaker import Breaker
from opa.core.component_observers import PoolUse
from opa.core.drivers import Driver
from opa.core.lazy_errors import lazy_errors
from opa.core.manager import PluginManager
from opa.tasks.modes import is_beat, is_worker

if TYPE_CHECKING:
    from celery import Celery

    from opa.settings.load import Config


class CeleryDriver(Driver):
    """Gives a `celery.Celery`, which sends the tasks of the plugins and reads their results.

    A subclass in a plugin, with a `name` of its own, may change what it is told.
    """

    connection_errors = lazy_errors(
        "kombu.exceptions:OperationalError",
        "redis.exceptions:ConnectionError",
        "redis.exceptions:TimeoutError",
        "opa.redis_clients:SERVER_STATES",
    )
    permanent_errors = lazy_errors(
        "amqp.exceptions:AccessRefused",
        "amqp.exceptions:NotAllowed",
        "celery.exceptions:ImproperlyConfigured",
        "redis.exceptions:AuthenticationError",
        "redis.exceptions:ResponseError",
        "builtins:ValueError",
    )
    guards_client = True
    runs_tasks = True

    pm: PluginManager
    app: Celery

    @cached_property
    def results_breaker(self) -> Breaker:
        """The breaker of the server that has the results; that of the broker is `breaker`."""
        from opa.redis_clients import refusal

        return self.new_breaker(f"{self.component} results", self.ask_results, refusal)

    def breakers(self) -> list[Breaker]:
        """Those of the broker and of the results; none where Celery reconnects by itself."""
        # A worker and beat reach for the broker by themselves, for as long as it takes.
        return [] if is_worker(self.pm.mode) or is_beat(self.pm.mode) else [self.breaker, self.results_breaker]

    def refusal(self, problem: str) -> Exception:
        """What Celery raises for a broker that does not answer."""
        from kombu.exceptions import OperationalError

        return OperationalError(problem)

    def probe(self) -> None:
        """Connect to the broker anew."""
        from opa.tasks.servers import ask_broker

        ask_broker(self.app)

    def ask_results(self) -> None:
        """Ask the server that has the results."""
        from opa.tasks.servers import ask_results

        ask_results(self.app)

    def prepare(self) -> None:
        """Configure the application that the plugins' tasks belong to, and give it to the hook.

        Raises:
            ValueError: an option is of no use; the message repeats no value, it may be a secret.
        """
        from opa.tasks.configure import configure

        self.app = configure(self, self.pm)

    @property
    def waits_for_host(self) -> bool:
        """Celery is imported to prepare; a task needs it, whether there is a broker or not."""
        tasks, hook = self.pm.tasks, type(self.pm.hooks["driver.celery.setup"])
        is_set_up = self.pm.registry.plugin_of[hook] != self.pm.registry.plugin_of[type(self)]
        return not tasks.are_used and not is_set_up and not _are_configured(self.pm.config)

    def hosts(self) -> list[tuple[str, ...]]:
        """The hosts to look up before connecting; none in a worker, which goes on trying."""
        return [] if is_worker(self.pm.mode) else super().hosts()

    def connect(self) -> None:
        """Give out the application, and let the breakers guard its broker and its results."""
        from opa.tasks.application import application_of

        self.instance = self.app
        application_of(self.pm).tell_wait = self.tell_wait
        if self.breakers():
            from opa.tasks.servers import guard_results

            application_of(self.pm).breaker = self.breaker
            guard_results(self.app, self.results_breaker)

    def validate(self) -> None:
        """Connect to the broker, and ask the server of the results; a worker does that itself."""
        if not is_worker(self.pm.mode):
            from opa.tasks.servers import reach

            reach(self.app)

    def pools(self) -> Mapping[str, PoolUse]:
        """Of the connections by which tasks are sent, and of those to the server that has the results."""
        if self.instance is None:
            return {}
        from opa.tasks.broker_pool import broker_use
        from opa.tasks.servers import results_use

        found = {"broker": broker_use(self.app), "results": results_use(self.app)}
        return {name: use for name, use in found.items() if use is not None}

    def disconnect(self) -> None:
        """Close the connections to the broker."""
        from opa.tasks.application import application_of
        from opa.tasks.servers import let_go

        if (observers := application_of(self.pm).observers) is not None:
            observers.stop()
        let_go(self.app)


def _are_configured(config: Config) -> bool:
    """Whether the user has any setting of Celery."""
    names = [name for name in config if name.startswith("CELERY_")]
    return any(not config.source(name).startswith("default-settings.yaml") for name in names)
