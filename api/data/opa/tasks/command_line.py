"""A command of Celery, with the words of its command line.

Celery's whole command line imports each of its commands and those that other packages add, as Flower does: 12 MB that a
worker has no use for. The two that run all the time are called by themselves.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib import import_module
from typing import Any

from celery.bin.base import CLIContext

ALONE = ("worker", "beat")
"""Commands that are called by themselves; each is a function in the module of its name in `celery.bin`."""


def run_command(app: Any, words: Sequence[str]) -> int | None:
    """Run a command, and give its exit status, where it has one.

    Args:
        app: the Celery application that it is run for.
        words: the command and its options.

    Raises:
        click.ClickException: there is no such command, or no such option.
    """
    name, *options = words
    if name not in ALONE:
        return app.start(argv=list(words))  # type: ignore[no-any-return]
    command: Any = getattr(import_module(f"celery.bin.{name}"), name)
    # What plugins have added, as the whole command line takes it.
    for kind in (name, "preload"):
        command.params.extend(app.user_options.get(kind, ()))
    context = CLIContext(app, no_color=bool(os.environ.get("NO_COLOR")), workdir=None)
    return command.main(options, f"celery {name}", standalone_mode=False, obj=context)  # type: ignore[no-any-return]
