"""The group `around_process`: what is there for as long as a process of the api, of a worker or of beat serves."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from opa.core.running import belonging_to
from opa.loading.conventions import AROUND_PROCESS_GROUP
from opa.logging.logger import log

if TYPE_CHECKING:
    from opa.core.groups import Member
    from opa.core.manager import PluginManager


@contextmanager
def around_process(manager: PluginManager) -> Iterator[None]:
    """Enter what the members of the group give, and leave it in the end, the last one first.

    One that fails is told in the log, and holds up neither the process nor the others.
    """
    left = ExitStack()
    for member in manager.groups.members(AROUND_PROCESS_GROUP.name):
        try:
            with belonging_to(manager):
                context = member.value()
                context.__enter__()
        except Exception as error:  # noqa: BLE001 - any plugin's
            _note(member, error)
        else:
            left.callback(_leave, member, context)
    with left:
        yield


def _leave(member: Member, context: object) -> None:
    try:
        context.__exit__(None, None, None)  # type: ignore[attr-defined]  # it was entered
    except Exception as error:  # noqa: BLE001 - any plugin's
        _note(member, error)


def _note(member: Member, error: Exception) -> None:
    log.opt(exception=error).error(f"'{member.uri}' in the group '{AROUND_PROCESS_GROUP.name}' failed: {error}")
