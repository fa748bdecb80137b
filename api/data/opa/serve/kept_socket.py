"""The socket of HOST and PORT that the supervisor of a reload keeps open from one process to the next.

Between two processes nobody accepts from it, and who connects waits. Where no next one is on its way, it refuses
connections, or is closed.
"""

from __future__ import annotations

import contextlib
import socket
from typing import TYPE_CHECKING

from opa.errors import StartError
from opa.process.listen import listening_socket, refuse_connections, refuses_connections
from opa.serve.handed import Handed

if TYPE_CHECKING:
    from opa.settings.load import Config


class KeptSocket:
    """The socket; at most one at a time."""

    def __init__(self) -> None:
        self._listener: socket.socket | None = None
        self._place: tuple[str, int] | None = None

    def is_for(self, config: Config) -> bool:
        """Whether it is open, and the next process, with these settings, can serve on it."""
        if self._listener is None or refuses_connections(self._listener, where_unknown=False):
            return False
        return self._place == (config.HOST, config.PORT) and not _waits_for_debugger(config)

    def keep(self, config: Config) -> Handed | None:
        """Have it open for `HOST` and `PORT`.

        Returns:
            What the next process is handed. None where it is to open a socket by itself: it says why it cannot, where
            this could not either.
        """
        if not self.is_for(config):
            self.close()
            self._open(config)
        if self._listener is None:
            return None
        return Handed(self._listener.fileno(), config.HOST, config.PORT)

    def _open(self, config: Config) -> None:
        if _waits_for_debugger(config):
            return
        with contextlib.suppress(StartError, OSError, ValueError, OverflowError):
            self._listener = listening_socket(config.HOST, config.PORT)
            self._place = (config.HOST, config.PORT)

    def refuse(self) -> None:
        """Let nobody connect any more. Who has connected is left to the process that serves."""
        if self._listener is not None:
            refuse_connections(self._listener)

    def close(self) -> None:
        """Close it, also for those who wait."""
        if self._listener is not None:
            refuse_connections(self._listener)  # whatever else may have it
            self._listener.close()
            self._listener = None


def _waits_for_debugger(config: Config) -> bool:
    """Whether a start lasts until a debugger has attached, for which no client is to wait."""
    return bool(config.DEBUGPY and config.DEBUGPY_WAIT)
