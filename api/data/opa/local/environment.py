"""What the processes of `opa up` are told: where the servers are, and where the plugins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opa.loading.plugin_paths import DEFAULT_PLUGIN_PATH
from opa.settings.load import Config, default_of
from opa.settings.sources import DEFAULTS_FILE

PLUGINS = "plugins"
SQLITE = "sqlite"
SQLITE_FILE = "sql.db"


@dataclass(frozen=True)
class Target:
    """An option that says where a server is.

    Attributes:
        server: `redis`, `mongo` or `sqlite`, which is a file.
        setting: the option's name.
        url: its value, for a server at `{authority}`; of a file it is the path.
    """

    server: str
    setting: str
    url: str

    @property
    def component(self) -> str:
        """The name of the component that has the option."""
        return self.setting.split(".")[1].lower()


# Databases of their own for tasks and results, so that a FLUSHDB of a plugin does not delete them.
TARGETS = (
    Target("redis", "OPTIONAL_COMPONENTS.WALRUS.OPTS.URL", "redis://{authority}"),
    Target("redis", "OPTIONAL_COMPONENTS.AIOREDIS.OPTS.URL", "redis://{authority}"),
    Target("redis", "OPTIONAL_COMPONENTS.CELERY.OPTS.BROKER_URL", "redis://{authority}/1"),
    Target("redis", "OPTIONAL_COMPONENTS.CELERY.OPTS.BACKEND_URL", "redis://{authority}/2"),
    Target("mongo", "OPTIONAL_COMPONENTS.MONGODB.OPTS.URL", "mongodb://{authority}/opa?authSource=admin"),
    Target(SQLITE, "OPTIONAL_COMPONENTS.SQL.OPTS.URL", "sqlite:///{authority}"),
    Target(SQLITE, "OPTIONAL_COMPONENTS.SQL_SYNC.OPTS.URL", "sqlite:///{authority}"),
)


def open_targets(config: Config) -> tuple[Target, ...]:
    """The options that the user has left to us: neither set, nor of a component that is turned off or taken out."""
    return tuple(target for target in TARGETS if _is_open(config, target))


def _is_open(config: Config, target: Target) -> bool:
    has_default = target.setting in config and _is_default(config, target.setting)
    # Who sets a password has a server of their own, and it may be at the default address.
    return has_default and is_loaded(config, target) and not config.get(_password_of(target))


def _password_of(target: Target) -> str:
    """The option that has the password for the URL of the target."""
    return f"{target.setting.removesuffix('URL')}PASSWORD"


def is_loaded(config: Config, target: Target) -> bool:
    """Whether the component that has the option is not turned off."""
    return bool(config.get(".".join([*target.setting.split(".")[:2], "LOAD"])) != "no")


def _is_default(config: Config, setting: str) -> bool:
    return all(source.startswith(DEFAULTS_FILE.name) for source in config.source(setting).split(", "))


def component_settings(targets: tuple[Target, ...], authorities: Mapping[str, str]) -> dict[str, str]:
    """The settings that point components at servers, by dotted name.

    Args:
        targets: the options to set.
        authorities: `user:password@host:port` by the name of a server, or the path of a file; others are left as they
            are.
    """
    return {
        target.setting: target.url.format(authority=authorities[target.server])
        for target in targets
        if target.server in authorities
    }


def plugin_settings(project: Path) -> dict[str, Any]:
    """The default plugin paths, with the folder `plugins` of the project in the place of the image's."""
    return {"PLUGIN_PATHS": _in_project(default_of("PLUGIN_PATHS"), project)}


def plugin_paths(config: Config, project: Path) -> list[str]:
    """The plugin paths that result, together with what the user has set."""
    if DEFAULTS_FILE.name not in config.source("PLUGIN_PATHS"):
        return list(config.PLUGIN_PATHS)
    return _in_project(config.PLUGIN_PATHS, project)


def _in_project(paths: list[str], project: Path) -> list[str]:
    return [str(project / PLUGINS) if path == DEFAULT_PLUGIN_PATH else path for path in paths]


def names_of_components(targets: tuple[Target, ...], server: str) -> str:
    """The components that use a server, for people."""
    return ", ".join(dict.fromkeys(target.component for target in targets if target.server == server))
