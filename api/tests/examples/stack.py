"""The compose stack of an example, under a name and on ports of its own."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx2

from tests.docker.engine import docker, unique
from tests.docs.blocks import Block
from tests.docs.page import Reader
from tests.serve.process import free_port


@dataclass
class ExampleStack:
    """Runs `docker compose` in the folder of an example, as its README says; what runs is `image`."""

    folder: Path
    image: str
    port: int = field(default_factory=free_port)
    debugger_port: int = field(default_factory=free_port)
    flower_port: int = field(default_factory=free_port)

    def compose(self, *arguments: str, check: bool = True, environ: Mapping[str, str] | None = None) -> str:
        ours = {
            "COMPOSE_PROJECT_NAME": unique(f"example-{self.folder.name}"),
            "API_IMAGE": self.image,
            "API_PORT": str(self.port),
            "DEBUGPY_PORT": str(self.debugger_port),
            "FLOWER_PORT": str(self.flower_port),
        }
        return docker(
            "compose", *arguments, check=check, cwd=self.folder, env={**os.environ, **ours, **(environ or {})}
        )


@contextmanager
def cleaned_up(stack: ExampleStack) -> Iterator[ExampleStack]:
    """The stack, which the test starts; gone with its volumes in the end."""
    try:
        yield stack
    except BaseException:
        print(stack.compose("logs", "--no-color", "--tail", "50", check=False))
        raise
    finally:
        stack.compose("kill", check=False)
        stack.compose("down", "--volumes", "--remove-orphans", check=False)


class StackReader(Reader):
    """Reads in the folder of an example: what it says about Docker is done by Docker."""

    def __init__(self, stack: ExampleStack, client: httpx2.Client) -> None:
        super().__init__()
        self.stack = stack
        self._client = client

    def write(self, block: Block) -> None:
        raise AssertionError(f"{block.where}: an example has its files, its README adds none")

    def client(self) -> httpx2.Client:
        return self._client

    def run(self, words: list[str], environ: dict[str, str]) -> str | None:
        match words:
            case ["docker", "compose", "restart", *_]:
                # It comes back before the api is ready, and a reader takes some time for the next command.
                return self.stack.compose(*words[2:]) + self.stack.compose("up", "--detach", "--wait", "--no-recreate")
            case ["docker", "compose", *arguments]:
                return self.stack.compose(*arguments, environ=environ)
            case ["../../.venv/bin/opa", "up"] | ["pytest", *_]:
                return None
        raise AssertionError(f"do not know how to run {words}")
