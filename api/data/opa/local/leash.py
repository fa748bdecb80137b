"""Run a command that ends with its parent: `python -m opa.local.leash PARENT COMMAND…`.

PARENT is a process id. The command replaces this process, so that its process id is the one that the parent knows.
"""

from __future__ import annotations

import os
import sys

from opa.process.orphans import end_with_parent


def leashed(command: list[str]) -> list[str]:
    """The command that runs `command` and ends it, with SIGTERM, when this process ends in whatever way.

    Linux ties it to the thread that starts it: that must be one that lives as long as the process.
    """
    # -P: the plugins of the current folder must not stand in for modules.
    return [sys.executable, "-P", "-m", "opa.local.leash", str(os.getpid()), *command]


def main() -> None:
    """Put on the leash, and become the command."""
    parent, *command = sys.argv[1:]
    end_with_parent(int(parent))
    os.execv(command[0], command)  # noqa: S606


if __name__ == "__main__":
    main()
