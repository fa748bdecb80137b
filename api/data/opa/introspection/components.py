"""The configured components, and how each is now."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from opa.core.component_states import CONNECTED

if TYPE_CHECKING:
    from opa.core.manager import PluginManager

DOES_NOT_ANSWER = "does not answer"


@dataclass(frozen=True)
class ComponentInfo:
    """A configured component.

    Attributes:
        name: in lower case.
        driver: as the settings name it.
        status: `not connected yet`, `connected`, `does not answer`, `not loaded`, `failed` or `disconnected`.
        reason: why, where it is not connected: never with a password, but hosts and modules may be named.
    """

    name: str
    driver: str
    status: str
    reason: str


def components_of(manager: PluginManager) -> list[ComponentInfo]:
    """Each configured component; one that is connected may not answer at the moment, which its breaker knows."""
    found = []
    for state in manager.component_states.values():
        status, reason = state.status, state.reason
        breakers = state.driver.breakers() if state.driver is not None and status == CONNECTED else ()
        if reasons := [breaker.reason for breaker in breakers if breaker.is_open]:
            status, reason = DOES_NOT_ANSWER, "; ".join(reasons)
        found.append(ComponentInfo(state.name, state.driver_name, status, reason))
    return found
