"""Read a page of the documentation as a user who does what it says, from top to bottom.

- A fenced block whose info string has a path (```` ```python plugins/hello.py ````) is a file of the reader's project.
- A `console` block has commands and what they print, see `tests.docs.console`. After `sleep` the next command may be
  repeated until it prints what it should.
- Any other `python` block is run by itself.
"""

from __future__ import annotations

import os
import re
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from unittest import mock

import httpx2

from tests import programs
from tests.docs.blocks import Block, blocks
from tests.docs.console import Command, Shell, commands
from tests.docs.curl import Call
from tests.docs.serving import served
from tests.project import PYTEST, Project

NOT_RUN = (
    *("cp .env.example", "docker build", "docker inspect", "docker run"),
    *("docker compose up -d --wait --scale", "docker compose -f docker-compose.yml -f docker-compose.dev.yml up"),
    *("docker compose down", "docker compose restart", "api opa shell", "../../.venv/bin/opa up", "make "),
)
"""What begins like this is left out: tests/docker, tests/examples, tests/cli and .ci/run do it."""

SLOW = re.compile(r".* has taken \d+\.\d s so far;.*\n")
"""A line of the log that only a slow machine has."""


class Reader(ABC):
    """Does what a page says; a subclass knows where.

    Attributes:
        patience: seconds beyond those of `sleep` that a command may take to print what it should.
    """

    patience = 10.0

    def __init__(self) -> None:
        self.done: list[str] = []
        self._shell = Shell()
        self._patient_until = 0.0

    def read(self, page: Path) -> None:
        """Do the whole page.

        Raises:
            AssertionError: something does not do what the page says; the message has file and line.
        """
        for block in blocks(page):
            if block.path:
                self.write(block)
            elif block.language == "console":
                for command in commands(block):
                    self._command(command)
            elif block.language == "python":
                self._python(block)

    @abstractmethod
    def write(self, block: Block) -> None:
        """Write a file of the project."""

    @abstractmethod
    def client(self) -> httpx2.Client:
        """A client of the running application."""

    @abstractmethod
    def run(self, words: list[str], environ: dict[str, str]) -> str | None:
        """What a program other than curl prints; None where it is not to be run."""

    def _python(self, block: Block) -> None:
        try:
            exec(compile(block.text, block.where, "exec"), {"__name__": "docs"})
        except Exception as error:
            raise AssertionError(f"{block.where}: {type(error).__name__}: {error}") from error
        self.done.append(block.where)

    def _command(self, command: Command) -> None:
        environ, words = self._shell.words(command)
        if not words:
            return
        if words[0] == "sleep":
            self._patient_until = time.monotonic() + float(words[1]) + self.patience
            return
        while True:
            printed = Call.parse(words[1:]).send(self.client()) if words[0] == "curl" else self.run(words, environ)
            if printed is None:
                return
            if self._shell.is_expected(command, printed):
                break
            assert time.monotonic() < self._patient_until, (
                f"{command.where}: $ {command.text}\nprints\n{printed}\nand not\n{command.expected}"
            )
            time.sleep(0.1)
        self._patient_until = 0.0
        self.done.append(command.text)


class ProjectReader(Reader):
    """Reads in a project folder; the application made from it runs in this process, and beside it what `worker` starts.

    `opa` and `python` run in the folder, also where they are meant to run in the container of the api. Otherwise
    `docker compose up` only says with which variables the application starts; other programs are not run.
    """

    def __init__(self, project: Project, worker: Callable[[], AbstractContextManager[object]] | None = None) -> None:
        super().__init__()
        self.project = project
        self._worker = worker
        self._environ: dict[str, str] = {}
        self._running = ExitStack()
        self._client: httpx2.Client | None = None

    def read(self, page: Path) -> None:
        with self._running:
            super().read(page)

    def write(self, block: Block) -> None:
        assert block.path is not None
        self._stop()
        self.project.plugin(block.path, block.text, folder=".")

    def client(self) -> httpx2.Client:
        if self._client is None:
            self._running.enter_context(mock.patch.dict(os.environ, self._environ))
            if self._worker:
                self._running.enter_context(self._worker())
            self._client = self._running.enter_context(served(self.project.app()))
        return self._client

    def run(self, words: list[str], environ: dict[str, str]) -> str | None:
        match words:
            case ["docker", "compose", *_, "up", "-d", "--wait"]:
                self._stop()
                self._environ = environ
                return ""
            case ["docker", "compose", "exec", *rest]:
                while rest[0] == "-e":
                    name, _, value = rest[1].partition("=")
                    environ = environ | {name: value}
                    del rest[:2]
                return self.run(rest[1:], environ)
            case ["opa", *arguments]:
                return self._python_program(["-m", "opa.cli", *arguments], environ)
            case ["python", *arguments]:
                return self._python_program(arguments, environ)
            case ["pytest", *arguments]:
                self.project.turn_on_components()
                environ = environ | {"OPA_SETTINGS_DIR": "", "PYTEST_ADDOPTS": ""}
                # Not forked: pytest has a word about libraries that it finds imported.
                return self._python_program([*PYTEST, *arguments], environ, fresh=True)
        assert " ".join(words).startswith(NOT_RUN), f"this reader does not know how to run {' '.join(words)}"
        return None

    def _python_program(self, arguments: list[str], environ: dict[str, str], *, fresh: bool = False) -> str:
        self._stop()
        run = programs.run(
            [sys.executable, *arguments],
            cwd=self.project.folder,
            env=os.environ | {"COLUMNS": "120"} | environ,
            fresh=fresh,
        )
        return run.stdout + SLOW.sub("", run.stderr)

    def _stop(self) -> None:
        self._running.close()
        self._client = None
