"""What a check of a deployment is, and what it looks at."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from opa.checks.finding import Finding

if TYPE_CHECKING:
    from opa.core.manager import PluginManager
    from opa.http.application import Api
    from opa.settings.config import Config


class Level(StrEnum):
    """How bad it is, the worst last."""

    NOTE = "note"
    WARNING = "warning"
    ERROR = "error"

    @property
    def rank(self) -> int:
        """A larger one is worse."""
        return list(Level).index(self)


class NotChecked(Finding):
    """Why something could not be looked at: a note, whatever the level of the check is."""


@dataclass(frozen=True)
class Deployment:
    """What is deployed, as this process sees it.

    Attributes:
        manager: the plugins, which are loaded.
        environ: the environment variables.
        application: that of the api; None where nobody has built it.
    """

    manager: PluginManager
    environ: Mapping[str, str]
    application: Api | None = None

    @property
    def config(self) -> Config:
        """The settings."""
        return self.manager.config

    @property
    def mode(self) -> str:
        """What `opa start` would run here."""
        return mode_in(self.environ)


def mode_in(environ: Mapping[str, str]) -> str:
    """The mode that the environment variables name."""
    return environ.get("MODE", "").strip().lower() or "api"


@dataclass(frozen=True)
class DeployCheck:
    """A check that `opa check --deploy` runs.

    Attributes:
        id: its name in CHECK_SILENCED and in the documentation; it never changes.
        level: how bad it is what it finds.
        find: yields what it finds.
    """

    id: str
    level: Level
    find: Callable[[Deployment], Iterator[Finding]]
