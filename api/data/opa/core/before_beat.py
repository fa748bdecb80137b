"""The group `before_beat`: what beat waits for before it sends anything."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

from opa.core.running import belonging_to
from opa.errors import LifecycleError, OpaError
from opa.loading.conventions import BEFORE_BEAT_GROUP

if TYPE_CHECKING:
    from opa.core.groups import Member
    from opa.core.manager import PluginManager


async def run_before_beat(manager: PluginManager) -> None:
    """Call the members of the group, one after another.

    Raises:
        OpaError: one of them failed.
    """
    for member in manager.groups.members(BEFORE_BEAT_GROUP.name):
        with belonging_to(manager):
            await _call(member)


async def _call(member: Member) -> None:
    try:
        result = member.value()
        if inspect.isawaitable(result):
            await result
    except OpaError:
        raise
    except Exception as error:
        raise LifecycleError(
            f"'{member.uri}' in the group '{BEFORE_BEAT_GROUP.name}' failed: {type(error).__name__}: {error}"
        ) from error
