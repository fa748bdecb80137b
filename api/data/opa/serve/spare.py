"""A process in spare: it has imported what the next one needs, and becomes that when a file changes.

Of the time that a small project takes to start, three quarters are imports of opa-stack and of what that is made of.
The spare has nothing of the project: no settings, no plugins, nor what only these import. Where something that it has
imported has changed meanwhile, it starts from the beginning.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from opa.process.child import Child
from opa.serve.command import command
from opa.serve.handed import Handed

MODULE = "opa.serve.spare_process"
DELAY = 2.0
"""Seconds after the start of a process before the next one is prepared: others start at the same time."""

# What opa-stack and its drivers import. None of these starts a thread, opens a connection or reads the project while it
# is imported, and what does is not imported for a plugin that it may not be meant for.
PACKAGES = frozenset(
    {
        *(
            "amqp",
            "annotated_doc",
            "annotated_types",
            "anyio",
            "better_exceptions",
            "billiard",
            "bson",
            "celery",
            "dns",
        ),
        *("dynaconf", "fastapi", "gridfs", "httptools", "idna", "jinja2", "kombu", "loguru", "markupsafe", "motor"),
        *("multipart", "opa", "opentelemetry", "orjson", "prometheus_client", "pydantic", "pydantic_core", "pymongo"),
        *("python_multipart", "redis", "sniffio", "starlette", "typing_extensions", "typing_inspection", "tzlocal"),
        *("ujson", "uvicorn", "uvloop", "vine", "walrus", "websockets", "wsproto", "yaml"),
    }
)
OF_A_START = ("opa.plugins", "opa.main", "opa.serve.single", "opa.serve.spare")
"""Modules that belong to a start: built-in plugins, which register what they have while they are imported."""


def note_imports(file: Path) -> None:
    """Write which modules this process has imported that the next one can have before it knows the project."""
    known = PACKAGES | sys.stdlib_module_names
    names = [name for name in sys.modules if name.partition(".")[0] in known and not _is_of_a_start(name)]
    new = file.with_suffix(".new")
    with contextlib.suppress(OSError):  # it is no more than quicker with it
        new.write_text(json.dumps(names))
        new.replace(file)


def _is_of_a_start(name: str) -> bool:
    return name == "__main__" or any(name == each or name.startswith(f"{each}.") for each in OF_A_START)


class Spare(Child):
    """The process in spare.

    Args:
        mistakes: the file into which a process writes why it does not start.
        clock: seconds, as `time.monotonic`.

    Attributes:
        imports: the file into which the process that serves writes what it has imported.
    """

    def __init__(self, mistakes: Path, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._mistakes = mistakes
        self._go: socket.socket | None = None
        self._not_before = 0.0
        self.imports = mistakes.with_name("imports.json")

    def not_yet(self) -> None:
        """The process that serves has just been started: what it imports is to be seen, and it has the machine."""
        self.imports.unlink(missing_ok=True)
        self._not_before = self._clock() + DELAY

    def prepare(self) -> None:
        """Start it, where there is none and it is time; to be called every now and then."""
        if self.runs or self._clock() < self._not_before or not self.imports.exists():
            return
        self._close()
        # Not a pipe: it is sent an open socket, which it must not have before, since that may be closed until then.
        self._go, its_end = socket.socketpair()
        with its_end:
            arguments = command(os.getpid(), self._mistakes, self.imports, module=MODULE)
            self.spawn([*arguments, str(its_end.fileno())], pass_fds=[its_end.fileno()])

    def go(self, environ: Iterable[str], handed: Handed | None = None) -> bool:
        """Have it become the process that serves; whoever calls this looks after it from then on.

        Args:
            environ: the variables that have changed since it was started.
            handed: the socket that it serves on.

        Returns:
            Whether there is one.
        """
        if not self.runs or self._go is None:
            return False
        try:
            variables = {name: os.environ[name] for name in environ}
            place = None if handed is None else (handed.host, handed.port)
            line = json.dumps([variables, place]).encode()
            socket.send_fds(self._go, [line], [] if handed is None else [handed.descriptor])
        except OSError:  # it has ended just now
            return False
        finally:
            self._close()
        return True

    def kill(self) -> None:
        """End it, where it runs."""
        super().kill()
        self._close()

    def _close(self) -> None:
        if self._go is not None:
            self._go.close()
            self._go = None
