"""Containers and compose stacks for tests, from the project's own files."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import textwrap
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.leftovers import RUN
from tests.no_answer import NO_ANSWER
from tests.serve.process import free_port, wait_until

ROOT = Path(__file__).parents[3]
COMPOSE_FILE = ROOT / "docker-compose.yml"
COMPOSE_DEV_FILE = ROOT / "docker-compose.dev.yml"
COMPOSE_PROD_FILE = ROOT / "docker-compose.prod.yml"
ENV_EXAMPLE = ROOT / ".env.example"
BUILT_FROM = (
    *("Dockerfile", ".dockerignore", "pyproject.toml", "README.md", "LICENSE"),
    *(
        "requirements.lock",
        "requirements-build.lock",
        "requirements-docs.lock",
        "requirements-pip.lock",
        "requirements-admin.lock",
        "requirements-sql.lock",
    ),
)
"""What the image is built from, besides the package."""

HELLO = """
from opa import get_router

router = get_router()


@router.get("/hello")
async def hello():
    return "{word}"
"""


def unique(name: str) -> str:
    """A name that no other run of the tests on this machine uses."""
    return f"opa-test-{os.environ.get(RUN, '0')}-{os.getpid()}-{name}"


def docker(*arguments: str, check: bool = True, timeout: float = 300, **options: Any) -> str:
    """What a docker command writes, standard error included."""
    done = subprocess.run(
        ["docker", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=timeout,
        **options,
    )
    assert not check or done.returncode == 0, f"docker {' '.join(arguments)}\n{done.stdout}"
    written: str = done.stdout
    return written


@contextlib.contextmanager
def built_image(extras: str) -> Iterator[str]:
    """The image of the working tree, with the packages of extras, such as `admin,sql`; gone in the end."""
    name = unique("extras-image")
    given = ("--build-context", f"docs={ROOT / 'docs'}", "--build-arg", f"EXTRAS={extras}")
    docker("build", "--quiet", *given, "--tag", name, str(ROOT / "api"), timeout=900)
    try:
        yield name
    finally:
        docker("rmi", "--force", name, check=False)


@dataclass(frozen=True)
class Answer:
    """What a route answered; status 0 when there was no answer, or not the whole of one."""

    status: int
    body: Any = None


def get(url: str, *, timeout: float = 30, method: str = "GET") -> Answer:
    request = urllib.request.Request(url, method=method)
    try:
        try:
            with urllib.request.urlopen(request, timeout=timeout) as answer:
                return Answer(answer.status, json.loads(answer.read()))
        except urllib.error.HTTPError as error:
            with error:
                text = error.read().decode()
                is_json = error.headers.get_content_type() == "application/json"
                return Answer(error.code, json.loads(text) if is_json else text)
    except NO_ANSWER:
        return Answer(0)


def write_plugin(folder: Path, name: str, text: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / name
    file.write_text(textwrap.dedent(text))
    return file


def errors_of(log: str) -> list[str]:
    """Why a process did not start, as its log says it."""
    lines = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    return [line["message"] for line in lines if line["logger"] == "opa.process.error_report"]


@dataclass
class Container:
    """A container of the image."""

    name: str
    plugins: Path

    @property
    def log(self) -> str:
        return docker("logs", self.name)

    @property
    def exit_code(self) -> int:
        return int(docker("inspect", "-f", "{{.State.ExitCode}}", self.name))

    @property
    def health(self) -> str:
        return docker("inspect", "-f", "{{.State.Health.Status}}", self.name).strip()

    @property
    def address(self) -> str:
        """Its IP address, which a Linux host can reach."""
        template = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
        return docker("inspect", "-f", template, self.name).strip()

    def wait_until_healthy(self) -> None:
        def state() -> bool:
            status = docker("inspect", "-f", "{{.State.Status}}", self.name).strip()
            assert status == "running", self.log
            return self.health == "healthy"

        wait_until(state, what=f"{self.name} is healthy")

    def wait_for_end(self, seconds: float = 60) -> int:
        return int(docker("wait", self.name, timeout=seconds))

    def get(self, path: str) -> Answer:
        """Call a route from inside the container."""
        code = (
            "import sys, urllib.request as u\n"
            "try: a = u.urlopen('http://127.0.0.1:8000' + sys.argv[1])\n"
            "except u.HTTPError as e: a = e\n"
            "print(a.status, a.read().decode())"
        )
        status, _, body = docker("exec", self.name, "python", "-c", code, path).partition(" ")
        return Answer(int(status), json.loads(body))


@contextlib.contextmanager
def container(image: str, folder: Path, *options: str, command: tuple[str, ...] = ("start",)) -> Iterator[Container]:
    """A container that runs beside the test, with `folder/plugins` mounted; gone in the end."""
    running = Container(unique(folder.name), folder / "plugins")
    write_plugin(running.plugins, "hello.py", HELLO.format(word="world"))
    mount = f"{running.plugins}:/plugins:ro"
    try:
        docker("run", "--detach", "--name", running.name, "--volume", mount, *options, image, *command)
        yield running
    finally:
        docker("rm", "--force", "--volumes", running.name, check=False)


@dataclass
class Stack:
    """The compose files in a folder of their own, as in a fresh clone, with free ports and a name of their own."""

    folder: Path
    image: str
    overlay: Path | None = None
    environ: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.name = unique(self.folder.name)
        self.port = free_port()
        self.debugger_port = free_port()
        self.worker_debugger_port = free_port()
        self.flower_port = free_port()
        self.plugins = self.folder / "plugins"
        files = [COMPOSE_FILE, *([self.overlay] if self.overlay else [])]
        for file in files:
            shutil.copy(file, self.folder)
        for name in ("plugins", "settings"):
            (self.folder / name).mkdir()
        data = Path("api/data")
        shutil.copytree(ROOT / data, self.folder / data, ignore=shutil.ignore_patterns("__pycache__"))
        for name in BUILT_FROM:
            shutil.copy(ROOT / "api" / name, self.folder / "api")
        shutil.copytree(ROOT / "docs", self.folder / "docs")
        self.environ = {
            "COMPOSE_PROJECT_NAME": self.name,
            "COMPOSE_FILE": ":".join(file.name for file in files),
            "API_IMAGE": self.image,
            "API_PORT": str(self.port),
            "RABBITMQ_MANAGEMENT_PORT": str(free_port()),
            "DEBUGPY_PORT": str(self.debugger_port),
            "WORKER_DEBUGPY_PORT": str(self.worker_debugger_port),
            "FLOWER_PORT": str(self.flower_port),
        } | self.environ

    def leave_out(self, *services: str) -> None:
        """Leave services out in the way that docs/containers.md shows."""
        self.override(
            "leave-out.yml", "services:\n" + "".join(f'  {name}:\n    profiles: ["off"]\n' for name in services)
        )

    def override(self, name: str, text: str) -> None:
        """Add a compose file."""
        (self.folder / name).write_text(textwrap.dedent(text))
        self.environ["COMPOSE_FILE"] += f":{name}"

    def compose(self, *arguments: str, check: bool = True) -> str:
        others = {name: value for name, value in os.environ.items() if not name.startswith(("OPA_", "COMPOSE_"))}
        others.pop("WEB_CONCURRENCY", None)
        return docker("compose", *arguments, check=check, cwd=self.folder, env=others | self.environ)

    def get(self, path: str, *, timeout: float = 30) -> Answer:
        return get(f"http://127.0.0.1:{self.port}{path}", timeout=timeout)

    def post(self, path: str, *, timeout: float = 30) -> Answer:
        return get(f"http://127.0.0.1:{self.port}{path}", timeout=timeout, method="POST")

    def wait_for(self, path: str, body: Any) -> None:
        wait_until(lambda: self.get(path, timeout=2) == Answer(200, body), what=f"{path} answers {body}")

    @property
    def log(self) -> str:
        return self.compose("logs", "--no-color", "--no-log-prefix", "api")

    def inspect(self, service: str, template: str) -> str:
        return docker("inspect", "-f", template, self.container(service)).strip()

    def container(self, service: str, number: int = 1) -> str:
        """The name of a container of a service."""
        return f"{self.name}-{service}-{number}"


@contextlib.contextmanager
def running(stack: Stack) -> Iterator[Stack]:
    """The stack, up and healthy; gone with its volumes in the end."""
    try:
        stack.compose("up", "--detach", "--wait")
        yield stack
    except BaseException:
        print(stack.compose("logs", "--no-color", "--tail", "50", check=False))
        for container in stack.compose("ps", "--all", "--quiet", check=False).split():
            print(docker("inspect", "-f", "{{.Name}} {{json .State}}", container, check=False))
        raise
    finally:
        stack.compose("kill", check=False)
        stack.compose("down", "--volumes", "--remove-orphans", check=False)
