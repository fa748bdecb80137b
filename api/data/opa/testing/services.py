"""Services of the project's compose file, started for a test session: `@pytest.mark.opa_services("redis")`.

They are a compose project of their own, so that those of the one that may be running are left alone. A process beside
this one removes them when this one ends, in whatever way: it waits for the end of a pipe.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from opa._util.suggestions import nearest
from opa.errors import OpaError

__tracebackhide__ = True  # for pytest, which shows the line of the test

NAMES = ("docker-compose.yml", "docker-compose.yaml", "compose.yaml", "compose.yml")
PORTS: Mapping[str, int] = {
    "mongo": 27017,
    "postgres": 5432,
    "rabbitmq": 5672,
    "redis": 6379,
    "valkey": 6379,
}
"""The port of a service, by a word in its name or in that of its image."""
START_LIMIT = 600
"""Seconds, with the download of the images."""
ADDRESSES = "OPA_OPTIONAL_COMPONENTS__"
LOOPBACK = "127.0.0.1"
REMOVE = """
import subprocess, sys
sys.stdin.read()
subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
"""


class NoDockerError(Exception):
    """There is no Docker, or no Compose; the message says what was tried."""


class Services:
    """Those of this process. It may be a child of pytest-xdist: each has its own.

    Args:
        project: the folder with the compose file.
    """

    def __init__(self, project: Path) -> None:
        self._project = project
        self._name = f"opa-testing-{os.getpid()}-{secrets.token_hex(3)}"
        self._folder: Path | None = None
        self._remover: subprocess.Popen[bytes] | None = None
        self._addresses: dict[str, str] = {}
        self._variables: dict[str, str] = {}

    def addresses(self, names: Iterable[str]) -> dict[str, str]:
        """Where the services are, which are started for it: `host:port` by name.

        Raises:
            NoDockerError: nothing can be started here.
            OpaError: there is no such service, or it does not start.
        """
        missing = [name for name in dict.fromkeys(names) if name not in self._addresses]
        if missing:
            self._start(missing)
        return {name: self._addresses[name] for name in names}

    @property
    def variables(self) -> Mapping[str, str]:
        """The addresses of components, with user and password, that the compose file gives to its own services."""
        return self._variables

    def stop(self) -> None:
        """Remove them, with their data."""
        if self._remover is not None and self._remover.stdin is not None:
            self._remover.stdin.close()
            self._remover.wait()
            self._remover = None
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _start(self, names: list[str]) -> None:
        _refuse_without_docker()
        services = self._configured()
        for name in names:
            if name not in services:
                near = nearest(name, services)
                known = f"Services: {', '.join(services) or 'none'}"
                hint = f"Did you mean '{near}'? {known}" if near else known
                raise OpaError(f"there is no service '{name}', which the mark 'opa_services' names", hint=hint)
        given = [variables for each in services.values() if isinstance(variables := each.get("environment"), dict)]
        for name, value in (item for variables in given for item in variables.items()):
            if name.startswith(ADDRESSES) and name.endswith("URL") and isinstance(value, str):
                self._variables.setdefault(name, value)
        ports = {name: _port(name, services[name]) for name in names}
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix=f"opa-testing-{os.getpid()}-"))
        file = self._folder / f"{'-'.join(names)}.json"
        file.write_text(json.dumps({"services": {name: _alone(services[name], ports[name]) for name in names}}))
        compose = ["docker", "compose", "-p", self._name, "-f", str(file), "--project-directory", str(self._project)]
        if self._remover is None:
            self._remover = subprocess.Popen(  # noqa: S603
                [sys.executable, "-c", REMOVE, "docker", "compose", "-p", self._name, "down", "-v", "--remove-orphans"],
                stdin=subprocess.PIPE,
                start_new_session=True,  # Ctrl-C is not for it
            )
        _docker([*compose, "up", "-d", "--wait", *names], limit=START_LIMIT)
        for name in names:
            said = _docker([*compose, "port", name, str(ports[name])])
            self._addresses[name] = f"{LOOPBACK}:{said.strip().rpartition(':')[2]}"

    def _configured(self) -> dict[str, Any]:
        file = next((self._project / name for name in NAMES if (self._project / name).is_file()), None)
        if file is None:
            raise OpaError(
                f"there is no {NAMES[0]} in {self._project}, and the mark 'opa_services' needs one",
                hint="Run pytest in the folder of the project, or give the option opa_project",
            )
        said = _docker(["docker", "compose", "-f", str(file), "--profile", "*", "config", "--format", "json"])
        services: dict[str, Any] = json.loads(said)["services"]
        return services


def _refuse_without_docker() -> None:
    try:
        for command in (["docker", "compose", "version"], ["docker", "info"]):
            subprocess.run(command, check=True, capture_output=True, timeout=60)  # noqa: S603
    except (OSError, subprocess.SubprocessError) as error:
        said = getattr(error, "stderr", None) or b""
        reason = said.decode(errors="replace").strip().splitlines() or [str(error)]
        raise NoDockerError(
            f"services of Docker Compose are needed, and there is no Docker here: {reason[0]}"
        ) from None


def _port(name: str, service: Mapping[str, Any]) -> int:
    written = [int(each["target"]) for each in service.get("ports") or ()]
    written += [int(str(each).partition("/")[0]) for each in service.get("expose") or ()]
    image = str(service.get("image", ""))
    known = [port for word, port in PORTS.items() if word in name or word in image]
    if not (ports := known or written):
        raise OpaError(f"the port of the service '{name}' is not known", hint="Name it in the compose file by expose")
    return ports[0]


def _alone(service: Mapping[str, Any], port: int) -> dict[str, Any]:
    """A service without what ties it to its project: others, ports, names, and what it may write on this machine."""
    kept = {
        name: value
        for name, value in service.items()
        if name not in ("container_name", "depends_on", "networks", "ports", "profiles", "restart", "volumes")
    }
    mounts = [each for each in service.get("volumes") or () if each.get("type") == "bind" and each.get("read_only")]
    return {**kept, "volumes": mounts, "ports": [{"target": port, "host_ip": LOOPBACK, "mode": "ingress"}]}


def _docker(command: list[str], limit: float = 60) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=limit, check=False)  # noqa: S603
    except (OSError, subprocess.SubprocessError) as error:
        raise OpaError(f"{' '.join(command[:2])} failed: {error}") from None
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        raise OpaError(f"docker compose {command[-1]} failed: {' | '.join(lines[-3:])}", hint="Try it by hand")
    return done.stdout
