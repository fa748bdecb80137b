"""The listening socket that a supervisor hands to the process which serves."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple, Self

if TYPE_CHECKING:
    import socket

    from opa.settings.load import Config


class Handed(NamedTuple):
    """An open descriptor of it, and what it was opened for.

    Attributes:
        descriptor: in the process that has it.
        host: as HOST of the settings was.
        port: as PORT of the settings was, also where that is 0.
    """

    descriptor: int
    host: str
    port: int

    def __str__(self) -> str:
        """The argument of a command."""
        return f"{self.descriptor}:{self.port}:{self.host}"

    @classmethod
    def from_argument(cls, argument: str) -> Self:
        """Read it, and keep the socket from what this process starts: the port would be taken as long as that runs."""
        descriptor, port, host = argument.split(":", 2)
        os.set_inheritable(int(descriptor), False)
        return cls(int(descriptor), host, int(port))

    def socket_for(self, config: Config) -> socket.socket | None:
        """The socket, where it is for `HOST` and `PORT` of these settings; else it is closed, and there is none.

        The settings may have changed since the supervisor has read them, and nobody is to wait where nobody serves.
        """
        import socket

        from opa.process.listen import refuse_connections

        listener = socket.socket(fileno=self.descriptor)
        if (self.host, self.port) == (config.HOST, config.PORT):
            return listener
        refuse_connections(listener)
        listener.close()
        return None
