"""Findings with which nothing starts, and what they are found in.

It is imported at a start, and so it is small.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

from opa.checks.finding import Finding

if TYPE_CHECKING:
    from opa.settings.config import Config


class OpenDoor(Finding):
    """What lets strangers in: nothing starts with it, unless `ENV` is dev or the settings accept it; see `start`."""


class Declared(Protocol):
    """What settings and environment variables say of a deployment: all there is before plugins are loaded."""

    @property
    def config(self) -> Config:
        """The settings."""

    @property
    def environ(self) -> Mapping[str, str]:
        """The environment variables."""

    @property
    def mode(self) -> str:
        """What `opa start` runs here."""


def reasons_in(config: Config) -> dict[str, str]:
    """What CHECK_SILENCED accepts: the ids in lower case, each with its reason."""
    return {str(name).strip().lower(): reason for name, reason in config.CHECK_SILENCED.items()}
