"""What `RELOAD` and `DEBUGPY` make of a mode: one process in an interpreter of its own."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from opa.serve.command import command

if TYPE_CHECKING:
    from opa.settings.load import Config


def runs_in_development(config: Config, *, reload_limit: float, stop_limit: float, has_page: bool = False) -> bool:
    """Run the mode in one process, if `RELOAD` or `DEBUGPY` ask for that; false where they do not.

    With `RELOAD` it returns when it was told to stop; with `DEBUGPY` alone it does not return, since this process
    becomes the other one.

    Args:
        reload_limit: seconds that the process has to end before it is started again.
        stop_limit: seconds that it has to end when it is told to stop.
        has_page: whether a page stands in its place, on `HOST` and `PORT`, while it does not start.
    """
    if config.RELOAD:
        from opa.serve.reload import supervise

        supervise(config, reload_limit=reload_limit, stop_limit=stop_limit, has_page=has_page)
        return True
    if config.DEBUGPY:
        sys.stdout.flush()
        sys.stderr.flush()
        # A new interpreter, since debugpy needs a flag of it; the same process, so that signals still arrive.
        os.execv(sys.executable, command())  # noqa: S606
    return False
