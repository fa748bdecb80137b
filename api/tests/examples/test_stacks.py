"""Every example, started with Docker as its README says, does what the README says."""

from __future__ import annotations

import json
import shlex
import threading
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.docker.dap import DapClient
from tests.docker.engine import ROOT, docker, unique
from tests.docs.blocks import blocks
from tests.docs.console import commands
from tests.examples.examples import EXAMPLES
from tests.examples.stack import ExampleStack, StackReader, cleaned_up
from tests.serve.process import wait_until

pytestmark = [pytest.mark.docker, pytest.mark.timeout(900), pytest.mark.usefixtures("docker")]

NO_KEEP_ALIVE = httpx2.Limits(max_keepalive_connections=0)
"""A connection does not outlive the container at its other end."""

MODELS = {"api": "api", "worker": "worker", "flower": "beat"}
"""Which service of the repository's stack has the rights that a container of a mode should have."""


@pytest.fixture
def client(stack: ExampleStack) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=f"http://127.0.0.1:{stack.port}", limits=NO_KEEP_ALIVE, timeout=20) as client:
        yield client


@pytest.fixture(scope="session")
def extras_image(image: str) -> Iterator[str]:
    """The image with the packages for SQL and the admin; all but these comes from what `image` was built of."""
    name = unique("extras-image")
    given = ("--build-context", f"docs={ROOT / 'docs'}", "--build-arg", "EXTRAS=admin,sql")
    docker("build", "--quiet", *given, "--tag", name, str(ROOT / "api"), timeout=900)
    yield name
    docker("rmi", "--force", name, check=False)


@pytest.fixture
def stack(example: Path, request: pytest.FixtureRequest) -> Iterator[ExampleStack]:
    has_extras = "EXTRAS:" in (example / "docker-compose.yml").read_text()
    image = request.getfixturevalue("extras_image" if has_extras else "image")
    with cleaned_up(ExampleStack(example, image)) as stack:
        yield stack


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_a_stack_does_what_its_readme_says(example: Path, stack: ExampleStack, client: httpx2.Client) -> None:
    reader = StackReader(stack, client)
    reader.read(example / "README.md")
    assert any(command.startswith("curl") for command in reader.done)
    assert stack.compose("ps", "--quiet") == "", "the README does not say how to stop"


@pytest.mark.parametrize("example", [ROOT / "examples/timekeeper"], ids=["timekeeper"])
def test_a_debugger_attaches_to_the_development_set_up(
    example: Path, stack: ExampleStack, client: httpx2.Client
) -> None:
    start = next(
        command.text
        for block in blocks(example / "README.md")
        for command in commands(block)
        if "docker-compose.dev.yml" in command.text
    )
    stack.compose(*shlex.split(start)[2:])
    launch = json.loads((example / ".vscode/launch.json").read_text())["configurations"][0]
    assert launch["connect"] == {"host": "127.0.0.1", "port": 5678}
    mapping = launch["pathMappings"][0]
    local_root = mapping["localRoot"].replace("${workspaceFolder}", str(example))
    clock = Path(local_root, "clock.py")
    line = clock.read_text().splitlines().index("    return month_name[month]") + 1
    answers = []
    with DapClient("127.0.0.1", stack.debugger_port) as debugger:
        debugger.attach(local_root=local_root, remote_root=mapping["remoteRoot"], breakpoints={str(clock): [line]})
        caller = threading.Thread(target=lambda: answers.append(client.get("/month/2").json()))
        caller.start()
        assert debugger.variables_where_stopped()["month"] == "2"
        debugger.resume()
        caller.join()
    assert answers == ["February"]


@pytest.mark.parametrize("example", [ROOT / "examples/celery-task"], ids=["celery-task"])
def test_flower_shows_the_workers_to_who_knows_the_password(example: Path, stack: ExampleStack) -> None:
    stack.compose("up", "-d", "--wait", "flower", "worker-math", "worker-counter")
    with httpx2.Client(base_url=f"http://127.0.0.1:{stack.flower_port}") as flower:
        assert flower.get("/workers").status_code == 401
        flower.auth = ("flower", "flower")
        wait_until(
            lambda: flower.get("/workers?json=1").text.count('"status": true') == 2, seconds=30, what="both are seen"
        )


HARDENED = (
    "restart",
    "logging",
    "read_only",
    "tmpfs",
    "cap_drop",
    "cap_add",
    "security_opt",
    "pids_limit",
    "mem_limit",
)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_an_example_is_as_hardened_as_the_stack_of_the_repository(example: Path) -> None:
    ours, models = services(example), services(ROOT)
    assert "api" in ours
    for name, service in ours.items():
        if name == "image":
            continue
        mode = service.get("environment", {}).get("MODE", "api")
        model = models[name if name in ("redis", "mongo", "rabbitmq", "postgres") else MODELS[mode]]
        for key in HARDENED:
            assert service.get(key) == model.get(key), (name, key)
        if model["image"] == models["api"]["image"]:
            assert service["stop_grace_period"] == model["stop_grace_period"]
            assert all(volume["read_only"] for volume in service["volumes"])


@pytest.mark.parametrize("folder", [ROOT, *EXAMPLES], ids=lambda folder: folder.name)
def test_one_service_builds_an_image_that_no_other_stack_builds(folder: Path) -> None:
    found = services(folder)
    (builds,) = [service["image"] for service in found.values() if "build" in service]
    assert builds == found["api"]["image"]
    others = [services(other) for other in (ROOT, *EXAMPLES) if other != folder]
    assert builds not in {service["image"] for other in others for service in other.values()}


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_an_example_opens_no_port_but_on_this_machine_alone(example: Path) -> None:
    for name, service in services(example).items():
        addresses = [port["host_ip"] for port in service.get("ports", [])]
        assert addresses == (["127.0.0.1"] if name in ("api", "flower") else [])


@cache
def services(folder: Path) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = json.loads(
        docker("compose", "--profile", "*", "config", "--format", "json", cwd=folder)
    )["services"]
    return found
