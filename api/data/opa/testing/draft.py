"""What becomes the application of a test: the mark, the project, and what replaces components."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opa.errors import OpaError
from opa.settings.components import task_components
from opa.settings.load import Config
from opa.testing.application import OpaApp
from opa.testing.components import put_in_place, refuse_unknown, used_components, with_components
from opa.testing.marks import Wishes
from opa.testing.project import SOURCE, chosen_plugins, settings_of, text_of
from opa.testing.servers import Servers

__tracebackhide__ = True  # for pytest, which shows the line of the test


class Draft:
    """The application of one test, before it is made and then.

    Args:
        wishes: what the mark asks for.
        servers: of the session.
        addresses: of services that were started for the session, by the names of their hosts.
    """

    def __init__(self, wishes: Wishes, servers: Servers, addresses: Mapping[str, str]) -> None:
        self._wishes = wishes
        self._servers = servers
        self._addresses = addresses
        self._fakes: dict[str, Any] = {}
        self._config: Config | None = None
        self.app: OpaApp | None = None

    def replace(self, name: str, fake: Any) -> Any:
        """Have a component be what the test gives.

        Raises:
            OpaError: there is no such component, or it runs the tasks.
        """
        key = name.lower()
        refuse_unknown(self._settings(), name, "opa_component")
        if key in task_components(self._settings()):
            raise OpaError(f"the component '{name}' runs the tasks, and is not replaced", hint="Use opa_tasks")
        self._fakes[key] = fake
        if self.app is not None:
            self.app.put_in_place(key, fake)
        return fake

    def build(self) -> OpaApp:
        """Make the application; it is not started.

        Raises:
            OpaError: a mistake in the mark, in settings or plugins, or a server is not there.
        """
        config = self._settings()
        plugins = chosen_plugins(config, self._wishes.plugins)
        used = used_components(config, text_of(plugins), self._wishes.components)
        config = with_components(config, used, self._fakes, self._addresses, self._servers.empty)
        if self._wishes.plugins is not None:
            paths = [plugin.match_path for plugin in plugins]
            only = {"PLUGIN_WHITELIST_LIST": paths, "PLUGIN_WHITELIST_RE": "", "PLUGIN_WHITELIST_TAGS": []}
            # No plugin has this name: an empty list would be all of them.
            config = config.replaced({**only, "PLUGIN_WHITELIST_LIST": paths or ["-"]}, SOURCE)
        self.app = OpaApp(config, are_tasks_eager=self._wishes.are_tasks_eager, raises=self._wishes.raises)
        for name, fake in self._fakes.items():
            put_in_place(self.app.manager, name, fake)
        self._refuse_skipped()
        return self.app

    def _settings(self) -> Config:
        if self._config is None:
            self._config = settings_of(self._wishes.settings)
        return self._config

    def _refuse_skipped(self) -> None:
        """See that a plugin that the mark names is there.

        Raises:
            OpaError: the settings skip it.
        """
        assert self.app is not None  # noqa: S101 - it was just made
        for decision in self.app.manager.decisions:
            if decision.plugin.name in (self._wishes.plugins or ()) and decision.reasons:
                problem = f"plugin '{decision.plugin.name}', which the mark 'opa' names, is skipped"
                raise OpaError(
                    f"{problem}: {', '.join(decision.reasons)}", hint="Change that by the settings of the mark"
                )
