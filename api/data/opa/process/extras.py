"""What is installed with an extra of the package alone, and is said with the command that installs it."""

from __future__ import annotations

import importlib.util
from typing import Literal

from opa.errors import StartError

Extra = Literal["deps", "flower", "shell", "local", "webhooks", "metrics", "testing"]


def install_command(extra: Extra) -> str:
    """The command that installs an extra."""
    return f"pip install 'opa-stack[{extra}]'"


def need(module: str, *, by: str, extra: Extra, otherwise: str = "") -> None:
    """See that `module` is installed, without importing it.

    Args:
        module: the name by which it is imported.
        by: what needs it, for people.
        extra: the extra that installs it.
        otherwise: what can be done instead.

    Raises:
        StartError: it is not installed.
    """
    if importlib.util.find_spec(module) is None:
        raise StartError(
            f"{by} needs the package {module}, which is not installed",
            hint=f"Install it: {install_command(extra)}" + (f", or {otherwise}" if otherwise else ""),
        )
