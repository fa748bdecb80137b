"""Who runs this process, as the system knows them."""

from __future__ import annotations

import os
import socket


def system_user() -> str:
    """The user of the system and the host: `anna@build-3`, by which the audit log names who uses a command."""
    try:
        import pwd

        name = pwd.getpwuid(os.getuid()).pw_name
    except (ImportError, KeyError):  # a container may run with a number that has no name
        name = str(os.getuid()) if hasattr(os, "getuid") else "unknown"
    return f"{name}@{socket.gethostname()}"
