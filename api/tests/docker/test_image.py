"""The image by itself: `docker run`."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import opa
from tests import programs
from tests.docker.engine import ROOT, Answer, Container, container, docker, errors_of, unique, write_plugin
from tests.docs.blocks import blocks
from tests.serve.load import Load
from tests.serve.process import COMPONENTS, wait_until
from tests.wheels import OF_INDEXES, Wheels

pytestmark = [pytest.mark.docker, pytest.mark.timeout(900)]

Run = Callable[..., Container]

CELERY_MUST_LOAD = "OPA_OPTIONAL_COMPONENTS__CELERY__LOAD=yes"
# Nothing waits for anything, so even a slow machine is far from when Docker kills.
LATE, AT_ONCE = "60", 30
HARDENED = ("--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges")


def processes(container: Container) -> int:
    """How many processes of opa run in it."""
    heading, *found = docker("top", container.name, "-eo", "pid,args").splitlines()
    assert "PID" in heading
    others = [line for line in found if "tini" not in line]
    assert len(others) == len(found) - 1
    return len(others)


def test_the_image_runs_without_rights_as_any_user(run: Run) -> None:
    api = run(*HARDENED, "--user", "12345:12345")
    api.wait_until_healthy()
    assert api.get("/hello") == Answer(200, "world")
    assert docker("exec", api.name, "id", "-u").strip() == "12345"


@pytest.mark.parametrize("params", ["-c 2", "-P threads -c 20"])
def test_a_worker_needs_no_rights_either_writes_json_and_stops_with_status_0(run: Run, params: str) -> None:
    mode = ("--env=MODE=worker", f"--env={CELERY_MUST_LOAD}", f"--env=CELERY_PARAMS={params}")
    worker = run(*HARDENED, "--user", "12345:12345", *mode)
    wait_until(lambda: "Trying again" in worker.log, what="it looks for its broker")
    assert "components connected: celery" in worker.log
    assert worker.health != "healthy"
    assert "superuser" not in worker.log
    docker("stop", "--time", "30", worker.name)
    assert worker.exit_code == 0
    assert all(json.loads(line)["level"] for line in worker.log.splitlines())


def test_the_image_is_not_root_and_kubernetes_can_tell(image: str) -> None:
    user = docker("inspect", "-f", "{{.Config.User}}", image).strip()
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user)
    assert docker("run", "--rm", "--entrypoint", "id", image, "-u").strip() == user.split(":")[0]


def test_an_unknown_mode_ends_it_with_one_line_that_names_the_modes(run: Run) -> None:
    api = run("--env", "MODE=rocket")
    assert api.wait_for_end() == 1
    (line,) = errors_of(api.log)
    assert re.fullmatch(r"there is no mode 'rocket' .*: api.*", line)


def test_a_container_with_one_cpu_has_one_worker(run: Run) -> None:
    api = run("--cpus", "1")
    api.wait_until_healthy()
    assert "with 1 worker" in api.log
    assert processes(api) == 2  # master, worker


def test_web_concurrency_says_how_many_workers(run: Run) -> None:
    api = run("--cpus", "1", "--env", "WEB_CONCURRENCY=3")
    api.wait_until_healthy()
    wait_until(lambda: processes(api) == 1 + 3)


@pytest.mark.skipif(sys.platform != "linux", reason="containers are reached by their address on Linux only")
@pytest.mark.parametrize("keep", [False, True], ids=["a connection for each request", "kept alive"])
def test_under_load_a_stop_loses_no_request(run: Run, keep: bool) -> None:
    api = run("--env", "WEB_CONCURRENCY=2")
    api.wait_until_healthy()
    # Not by a published port: there a proxy of Docker's accepts, whether the container does or not.
    with Load(api.address, 8000, "/hello", clients=8, keep=keep) as load:
        load.wait_for_answers(200)
        docker("stop", "--time", "30", api.name)
    assert not load.lost
    assert api.exit_code == 0


def test_a_component_that_must_be_there_and_is_not_ends_it_with_one_line(run: Run) -> None:
    api = run(
        "--env=OPA_OPTIONAL_COMPONENTS__WALRUS__LOAD=yes",
        "--env=OPA_OPTIONAL_COMPONENTS__WALRUS__OPTS__URL=redis://:hush@redis",
        "--env=OPA_COMPONENT_CONNECT_TIMEOUT=2",
    )
    assert api.wait_for_end() == 1
    errors = errors_of(api.log)
    assert len(errors) == 1
    assert errors[0].startswith("component 'walrus'")
    assert "'redis' does not resolve" in errors[0]
    assert "hush" not in api.log


def test_a_name_that_resolves_before_its_server_listens_is_waited_for(image: str, tmp_path: Path) -> None:
    network, redis = unique("network"), unique("redis")
    docker("network", "create", network)
    try:
        docker(
            *("run", "--detach", "--name", redis, "--network", network, "--network-alias", "redis"),
            *("--entrypoint", "sh", "redis:8", "-c"),
            "until [ -e /tmp/go ]; do sleep 0.1; done; exec redis-server --protected-mode no",
        )
        with container(image, tmp_path, "--network", network) as api:
            wait_until(lambda: "'walrus' does not connect yet" in api.log, what="it tries in vain")
            docker("exec", redis, "touch", "/tmp/go")
            api.wait_until_healthy()
            components = {state["name"]: state["status"] for state in api.get("/readyz").body["components"]}
            assert components["walrus"] == components["aioredis"] == "connected"
    finally:
        docker("rm", "--force", "--volumes", redis, check=False)
        docker("network", "rm", network, check=False)


def test_a_plugin_that_does_not_import_ends_it_with_one_line(image: str, tmp_path: Path) -> None:
    write_plugin(tmp_path / "plugins", "broken.py", "from opa import get_roter\n")
    with container(image, tmp_path) as api:
        assert api.wait_for_end() == 1
        (line,) = errors_of(api.log)
        assert "/plugins/broken.py" in line


def test_a_container_stops_at_once_when_it_is_idle(run: Run) -> None:
    api = run()
    api.wait_until_healthy()
    began = time.monotonic()
    docker("stop", "--time", LATE, api.name)
    assert time.monotonic() - began < AT_ONCE
    assert api.exit_code == 0


@pytest.mark.parametrize("options", [(), ("--env=MODE=worker", f"--env={CELERY_MUST_LOAD}")], ids=["api", "worker"])
def test_a_container_stops_at_once_when_it_has_just_started(
    image: str, tmp_path: Path, options: tuple[str, ...]
) -> None:
    for pause in (0, 0, 0, 0.1, 0.2, 0.4, 0.8):
        with container(image, tmp_path, *options) as started:
            # The kernel drops a signal to the first process of a container that has no handler yet.
            wait_until(lambda: "tini" in docker("top", started.name, "-eo", "pid,args"), what="tini runs")
            time.sleep(pause)  # nothing tells from outside whether Python has a handler for the signal yet
            began = time.monotonic()
            docker("stop", "--time", LATE, started.name)
            assert time.monotonic() - began < AT_ONCE, started.log
            assert started.exit_code == 0, started.log


def test_the_health_check_follows_the_settings(image: str, tmp_path: Path) -> None:
    settings = tmp_path / "settings"
    settings.mkdir()
    (settings / "mine.yaml").write_text("default:\n  PORT: 9000\n  HEALTH_URL: /alive\n")
    with container(image, tmp_path, "--volume", f"{settings}:/data/settings:ro", *HARDENED) as api:
        api.wait_until_healthy()


def test_logs_are_json_lines(run: Run) -> None:
    api = run()
    api.wait_until_healthy()
    assert all(json.loads(line)["level"] for line in api.log.splitlines())


def test_other_commands_of_opa_run_as_well(image: str) -> None:
    assert "hello" in docker("run", "--rm", "--env", "ENV=dev", image, "plugins", "--all")


def test_an_image_of_ones_own_as_the_docs_say_has_the_packages_of_the_plugins(image: str, tmp_path: Path) -> None:
    recipe = next(block.text for block in blocks(ROOT / "docs/containers.md") if block.language == "dockerfile")
    environ = project_with_needs(tmp_path)
    lines = "".join(f"ENV {name}={value}\n" for name, value in environ.items())
    text = recipe.replace("FROM opa-stack\n", f"FROM {image}\nCOPY wheels /wheels\n{lines}")
    (tmp_path / "Dockerfile").write_text(text)
    own = unique("own")
    try:
        docker("build", "--quiet", "--tag", own, str(tmp_path))
        locked = ("run", "--rm", "--read-only", "--cap-drop=ALL", own)
        assert "ok: 2 plugins loaded" in docker(*locked, "check")
        assert "ok: plugins.lock is up to date" in docker(*locked, "deps", "check")
    finally:
        docker("rmi", "--force", own, check=False)


def test_packages_that_are_missing_stop_a_container_at_once_and_are_installed_in_development(
    image: str, tmp_path: Path
) -> None:
    environ = project_with_needs(tmp_path)
    mounts = ("--volume", f"{tmp_path}/plugins:/plugins:ro", "--volume", f"{tmp_path}/wheels:/wheels:ro")
    done = docker("run", "--rm", "--env", "OPA_LOG_FORMAT=text", *mounts, image, check=False)
    assert done.splitlines()[0].startswith("error: plugin 'soup' requires the Python package 'ladle', which is not")
    assert done.splitlines()[-1].startswith("error: 2 plugins have no packages that they need. Install all of them: ")
    assert "RUN opa deps install --target /packages" in done.splitlines()[-1]
    own = (
        "--read-only",
        "--tmpfs",
        "/tmp",
        "--cap-drop=ALL",
        "--volume",
        "/packages",
        *mounts,
        "--env=ENV=dev",
        "--env=OPA_LOG_FORMAT=text",
    )
    of_wheels = [word for item in environ.items() for word in ("--env", "=".join(item))]
    components = [f"OPA_OPTIONAL_COMPONENTS__{name}__LOAD=no" for name in COMPONENTS]
    with container(
        image, tmp_path, *own, *of_wheels, *(word for each in components for word in ("--env", each))
    ) as api:
        code = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:8000/ladle').read().decode())"
        wait_until(lambda: "1.0" in docker("exec", api.name, "python", "-c", code, check=False), what=lambda: api.log)
        assert re.search(r"installed ladle 1\.0, spoon 2\.0 in /packages", api.log)


def project_with_needs(folder: Path) -> dict[str, str]:
    """Write two plugins, the wheels that they need, and the lock. Gives the variables for pip in a container."""
    wheels = Wheels(folder / "wheels")
    wheels.add("ladle", "1.0", ["spoon"])
    wheels.add("spoon", "2.0")
    route = "from opa import get_router\nrouter = get_router()\nrouter.get('/ladle')(lambda: ladle.version)\n"
    block = "# /// script\n# dependencies = ['{}']\n# ///\nimport {}\n"
    write_plugin(folder / "plugins", "soup.py", block.format("ladle", "ladle") + route)
    write_plugin(folder / "plugins", "stew.py", block.format("spoon>=2", "spoon"))
    (folder / "settings").mkdir()
    environ = {name: value for name, value in os.environ.items() if not name.startswith(OF_INDEXES)}
    environ |= wheels.environ(folder / "cache") | {"OPA_PLUGIN_PATHS": str(folder / "plugins")}
    done = programs.run([programs.OPA, "deps"], cwd=folder, env=environ)
    assert done.returncode == 0, done.stderr
    return {"PIP_FIND_LINKS": "/wheels", "PIP_NO_INDEX": "1"}


ADDED = 147_000_000
"""Bytes that the image may take more than its base."""


def test_the_image_is_not_much_larger_than_its_base(image: str, record_property: Callable[[str, object], None]) -> None:
    size, base = (
        int(docker("inspect", "-f", "{{.Size}}", name))
        for name in (image, label(image, "org.opencontainers.image.base.name"))
    )
    record_property("measured", f"the image has {size / 1e6:.0f} MB, {(size - base) / 1e6:.0f} MB more than its base")
    assert size - base < ADDED


def label(image: str, name: str) -> str:
    return docker("inspect", "-f", f'{{{{index .Config.Labels "{name}"}}}}', image).strip()


def test_the_image_has_the_documentation(image: str) -> None:
    folder = "/data/opa/plugins/console/_documentation"
    found = docker("run", "--rm", "--entrypoint", "ls", image, folder).split()
    assert {"index.html", "tasks.html", "search.json"} <= set(found)


def test_labels_name_version_and_revision(image: str) -> None:
    assert label(image, "org.opencontainers.image.version") == opa.__version__
    labelled = unique("labelled")
    try:
        docker("build", "--quiet", "--build-arg", "REVISION=4711", "--tag", labelled, str(ROOT / "api"))
        assert label(labelled, "org.opencontainers.image.revision") == "4711"
    finally:
        docker("rmi", "--force", labelled, check=False)


def test_a_base_image_is_an_argument() -> None:
    built = subprocess.run(
        ["docker", "build", "--build-arg", "BASE_IMAGE=opa-test-no-such-base", str(ROOT / "api")],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert built.returncode != 0
    assert "opa-test-no-such-base" in built.stderr


def test_the_image_has_no_pip_package_lists_tests_or_setuid_programs(image: str) -> None:
    def shell(command: str) -> str:
        return docker("run", "--rm", "--user", "0", "--entrypoint", "sh", image, "-c", command)

    assert shell("find / -xdev -type f -perm /6000") == ""
    assert shell("ls /var/lib/apt/lists /var/cache/apt").split() == ["/var/cache/apt:", "/var/lib/apt/lists:"]
    template = "/data/opa/scaffold/template"  # what a new project begins with, which has tests
    folders = shell(f"find /opt/venv /data -path {template} -prune -o -type d -print").split()
    assert [folder for folder in folders if folder.endswith(("/test", "/tests"))] == []
    assert shell("command -v pip pip3 || true") == ""
    for python in ("/opt/venv/bin/python", "/usr/local/bin/python"):
        assert "No module named" in shell(f"{python} -m pip --version || true")


def test_each_compiled_module_of_a_package_imports(image: str) -> None:
    code = (
        "import importlib, pathlib, sysconfig\n"
        "root = pathlib.Path(sysconfig.get_path('purelib'))\n"
        "files = [f.relative_to(root) for f in root.rglob('*.so') if '_vendored' not in f.parts]\n"
        "names = ['.'.join([*f.parts[:-1], f.name.partition('.')[0]]) for f in files]\n"
        "print(len([importlib.import_module(n) for n in names]))"
    )
    assert int(docker("run", "--rm", "--entrypoint", "python", image, "-c", code)) > 10
