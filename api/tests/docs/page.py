"""Run a page of the documentation as a reader would who does what it says, from top to bottom.

- A fenced block whose info string has a path (```` ```python plugins/hello.py ````) is a file of the reader's project.
- A `console` block has commands behind `$` and what they print below: `curl` asks the application made from the files
  so far, `opa` and `python` run in the project. `...` stands for any text. Commands of other programs are not run.
- Any other `python` block is run by itself.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

from starlette.testclient import TestClient

from tests.project import Project

FENCE = re.compile(r"^```(?P<language>\w+)?(?: +(?P<path>\S+))?\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"^\$ (?P<command>(?:.*\\\n)*.*)\n?(?P<output>(?:(?!\$ ).*\n?)*)", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    language: str
    path: str | None
    text: str
    where: str


def blocks(page: Path) -> Iterator[Block]:
    """The fenced blocks of a page."""
    source = page.read_text()
    for match in FENCE.finditer(source):
        line = source.count("\n", 0, match.start()) + 1
        yield Block(match["language"] or "", match["path"], match["text"], f"{page.name}:{line}")


class Reader:
    """Does what a page says, in a project folder."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.done: list[str] = []
        self._client: TestClient | None = None
        self._running = ExitStack()

    def read(self, page: Path) -> None:
        """Do the whole page.

        Raises:
            AssertionError: something does not do what the page says; the message has file and line.
        """
        with self._running:
            for block in blocks(page):
                self._do(block)

    def _do(self, block: Block) -> None:
        if block.path:
            self._stop()
            self.project.plugin(block.path, block.text, folder=".")
        elif block.language == "console":
            for match in COMMAND.finditer(block.text):
                self._command(match["command"].replace("\\\n", " "), match["output"], block.where)
        elif block.language == "python":
            try:
                exec(compile(block.text, block.where, "exec"), {"__name__": "docs"})
            except Exception as error:
                raise AssertionError(f"{block.where}: {type(error).__name__}: {error}") from error
            self.done.append(block.where)

    def _command(self, command: str, expected: str, where: str) -> None:
        words = shlex.split(command, comments=True)
        if words[0] == "curl":
            printed = self._curl(words[1:])
        elif words[0] in ("opa", "python"):
            self._stop()
            program = [sys.executable, *(["-m", "opa.cli"] if words[0] == "opa" else [])]
            run = subprocess.run(
                [*program, *words[1:]],
                cwd=self.project.folder,
                capture_output=True,
                check=False,
                text=True,
                env=os.environ | {"COLUMNS": "120"},
            )
            printed = run.stdout + run.stderr
        else:
            return
        pattern = ".*?".join(re.escape(part) for part in expected.strip().split("..."))
        # How a table is laid out is not what the page is about.
        found = re.fullmatch(re.sub(r"(\\ )+", r"\\s+", pattern), printed.strip(), re.DOTALL)
        assert found or not expected.strip(), f"{where}: $ {command}\nprints\n{printed}\nand not\n{expected}"
        self.done.append(command)

    def _curl(self, words: list[str]) -> str:
        method, data, headers, with_status, url = None, None, {}, False, ""
        arguments = iter(words)
        for word in arguments:
            match word:
                case "-X":
                    method = next(arguments)
                case "-d" | "--data" | "--json":
                    data = next(arguments)
                    headers.setdefault("content-type", "application/json")
                case "-H":
                    name, _, value = next(arguments).partition(":")
                    headers[name.lower()] = value.strip()
                case "-i":
                    with_status = True
                case "-s":
                    pass
                case _:
                    url = word
        path = re.sub(r"^(http://)?[\w.]+(:\d+)?", "", url)
        answer = self._start().request(method or ("POST" if data else "GET"), path, content=data, headers=headers)
        status = f"HTTP/1.1 {answer.status_code} {HTTPStatus(answer.status_code).phrase}\n" if with_status else ""
        return status + answer.text

    def _start(self) -> TestClient:
        if self._client is None:
            self._client = self._running.enter_context(self.project.client(raise_server_exceptions=False))
        return self._client

    def _stop(self) -> None:
        self._running.close()
        self._client = None
