"""Fixtures for all tests."""

from __future__ import annotations

import compileall
import contextlib
import gc
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import fastapi
import pytest
from xdist.scheduler import LoadScopeScheduling

import opa
from opa.current import current
from opa.loading import imported_modules, installed
from tests.docker.engine import ROOT, unique
from tests.docker.engine import docker as run_docker
from tests.leftovers import RUN, end_leftovers
from tests.once import (
    look_at_modules_of_applications,
    look_for_python_once,
    parse_defaults_once,
    read_built_in_plugins_once,
    read_entry_points_once,
    read_signatures_once,
)
from tests.postgres import Postgres
from tests.probes import Measurement, remove_stale
from tests.project import Project, clean_imports
from tests.rabbitmq import RabbitMQ, rabbitmq_server
from tests.servers import Server, mongo_server, redis_server
from tests.signals import let_programs_be_interrupted

if "TESTS_FASTAPI_VERSION" in os.environ:
    # That of a version which nobody has tested: `make test-fallback`.
    fastapi.__version__ = os.environ["TESTS_FASTAPI_VERSION"]

SHARE_SERVERS = (
    "/cli/test_beside_up.py",
    "/cli/test_up.py",
    "/docker/test_compose.py",
    "/docker/test_compose_dev.py",
    "/docker/test_compose_prod.py",
    "/docker/test_image.py",
    "/docker/test_modes.py",
    "/docker/test_workers.py",
    "/events/test_emit.py",
    "/events/test_outbox.py",
    "/examples/test_stacks.py",
    "/http/access/test_matrix.py",
    "/scaffold/test_readme.py",
    "/plugins/driver_sql/test_outages.py",
    "/plugins/migrations/test_postgres.py",
    "/plugins/mcp_tools/test_endpoint.py",
    "/release/test_make_dist.py",
    "/serve/test_access.py",
    "/serve/test_debugger.py",
    "/serve/test_gone.py",
    "/serve/test_limits.py",
    "/tasks/brokers/test_queues.py",
    "/tasks/limits/test_limited_tasks.py",
    "/tasks/test_rabbitmq_states.py",
    "/tasks/test_server_states.py",
    "/tasks/test_task.py",
    "/test_distribution.py",
)

FILL_THE_MACHINE = ("/cli/test_up_ends.py",)
"""Modules whose tests start ten processes each, and are given a minute for their end: one test after another."""

TAKE_LONG = (
    "/scaffold/test_readme.py",
    "/cases/test_cases.py",
    "/events/test_killed.py",
    "/http/routing/test_beside_fastapi.py",
    "/local/test_servers.py",
    "/plugins/test_driver_celery.py",
    "/serve/test_reload.py",
    "/serve/test_websocket.py",
    "/tasks/beat/test_service.py",
    "/tasks/test_development.py",
    "/tasks/worker/test_outages.py",
    "/tasks/worker/test_stopping.py",
    "/test_leftovers.py",
    "/test_private_names.py",
)
"""Modules with tests of half a minute. Behind all others, one process would still run theirs when there is no other."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: not module_of(item.nodeid).endswith(TAKE_LONG))


def module_of(nodeid: str) -> str:
    return nodeid.partition("::")[0]


class SharedServers(LoadScopeScheduling):  # type: ignore[misc]  # pytest-xdist is not typed
    """Runs tests that share a stack, a server or a worker in one process, the largest such groups first.

    The mark `xdist_group` would say it more plainly; pytest-xdist 3.8 does not see it under pytest 9.2.
    """

    def _split_scope(self, nodeid: str) -> str:
        module = module_of(nodeid)
        if module.endswith((*SHARE_SERVERS, *FILL_THE_MACHINE)):
            return module
        return "rabbitmq" if "[rabbitmq" in nodeid else nodeid


INTERRUPTED = pytest.StashKey[bool]()
MEASUREMENT = pytest.StashKey[Measurement]()

MEMORY = "/dev/shm"
ROOM = 4 << 30
"""Bytes; a run of all tests writes half a gigabyte."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--coverage", action="store_true", help="measure what of the package runs; needs -n")


def pytest_configure(config: pytest.Config) -> None:
    """Let what the tests start be interrupted, and the tests: to be told to stop is no other thing."""
    config.stash[INTERRUPTED] = False
    let_programs_be_interrupted()
    # What Python has compiled goes by the second and the size of a file: of a plugin that a test writes twice in a
    # second, it would run the first.
    sys.dont_write_bytecode, os.environ["PYTHONDONTWRITEBYTECODE"] = True, "1"
    if RUN not in os.environ:
        os.environ[RUN] = str(os.getpid())
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        write_into_memory()
        if config.option.coverage:
            config.stash[MEASUREMENT] = begin_measurement(config)
        else:
            remove_stale()
        # Otherwise each process that a test starts would compile it, in half of its time.
        compileall.compile_dir(Path(opa.__file__).parent, quiet=2)


def write_into_memory() -> None:
    """Have pytest make its folders where no disk is waited for: a test writes some files, and there are thousands.

    Where a run without failures leaves nothing there (`tmp_path_retention_policy`), and it has room: in a container it
    is 64 MB by default.
    """
    with contextlib.suppress(OSError):
        memory = os.statvfs(MEMORY)
        if memory.f_bavail * memory.f_frsize > ROOM and not memory.f_flag & os.ST_NOEXEC:
            os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", MEMORY)


def begin_measurement(config: pytest.Config) -> Measurement:
    """Have the processes of pytest-xdist import the package with probes; this one has imported some of it already."""
    if not config.option.numprocesses:
        raise pytest.UsageError("--coverage needs processes to run the tests in: -n 1, or more")
    measurement = Measurement.begin()
    if measurement is None:
        raise pytest.UsageError("another run of the tests measures the coverage of this clone already")
    return measurement


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Let what a process has compiled of the tests be read by the others, and by the next run.

    What is collected stays until the end: to look for garbage in it would take a third of the time that it takes to
    collect, and more in each search to come.
    """
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, False
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()
        sys.dont_write_bytecode = before


def pytest_keyboard_interrupt() -> None:
    """Let no second signal end what follows the first."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Note that the run was interrupted, and otherwise what it ran of the package."""
    session.config.stash[INTERRUPTED] = exitstatus == pytest.ExitCode.INTERRUPTED
    if MEASUREMENT in session.config.stash and exitstatus != pytest.ExitCode.INTERRUPTED:
        session.config.stash[MEASUREMENT].save()


def pytest_unconfigure(config: pytest.Config) -> None:
    """Leave nothing behind when the run was interrupted: the processes of pytest-xdist had no time to clean up."""
    if MEASUREMENT in config.stash:
        config.stash[MEASUREMENT].end()
    if config.stash[INTERRUPTED] and os.environ.get(RUN) == str(os.getpid()):
        end_leftovers(os.environ[RUN])


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> SharedServers:
    """Said to pytest-xdist, which runs the tests in several processes."""
    return SharedServers(config, log)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Show what tests have measured (`record_property("measured", …)`), also where they ran in another process."""
    reports = [report for found in terminalreporter.stats.values() for report in found]
    calls = [report for report in reports if getattr(report, "when", "") == "call"]
    measured = [str(value) for report in calls for name, value in report.user_properties if name == "measured"]
    if measured:
        terminalreporter.section("measured")
        for line in measured:
            terminalreporter.line(line)


@pytest.fixture(scope="session", autouse=True)
def _worked_out_once() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patched:
        parse_defaults_once(patched.setattr)
        look_for_python_once(patched.setattr)
        read_entry_points_once(installed, patched.setattr)
        read_signatures_once(patched.setattr)
        look_at_modules_of_applications(imported_modules, patched.setattr)
        read_built_in_plugins_once(str(Path(opa.__file__).parent / "plugins"), patched.setattr)
        yield


@pytest.fixture(autouse=True)
def _nothing_hidden() -> Iterator[None]:
    """What a test reads from a value file is not masked in the next one."""
    yield
    current.hidden_texts = ()


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    """An empty project folder, the current folder of the test."""
    with clean_imports():
        yield Project(tmp_path, monkeypatch)


@pytest.fixture(params=["index", "fallback"])
def routed(request: pytest.FixtureRequest, project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project whose routes are found by the index, and once more by FastAPI itself."""
    if request.param == "fallback":
        import fastapi

        monkeypatch.setattr(fastapi, "__version__", "0.999.0")
    return project


@pytest.fixture
def open_project(monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    """A project that lies where every user may look; not in the folders of pytest."""
    with TemporaryDirectory() as name, clean_imports():
        Path(name).chmod(0o755)
        yield Project(Path(name), monkeypatch)


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a redis server (Valkey) that all tests share; each test uses keys of its own."""
    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        yield server.url


@pytest.fixture(scope="session")
def mongo_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a mongo server (SecantusDB) that all tests share; each test uses a database of its own."""
    with mongo_server(tmp_path_factory.mktemp("mongo")) as server:
        yield server.url


@pytest.fixture
def start_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], Server]]:
    """Start a redis server of the test's own, which it may kill and start again."""
    with ExitStack() as running:
        yield lambda: running.enter_context(redis_server(tmp_path_factory.mktemp("redis")))


@pytest.fixture
def start_mongo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], Server]]:
    """Start a mongo server of the test's own, which it may kill and start again."""
    with ExitStack() as running:
        yield lambda: running.enter_context(mongo_server(tmp_path_factory.mktemp("mongo")))


@pytest.fixture(scope="session")
def docker() -> None:
    """Skip where there is no Docker engine."""
    try:
        subprocess.run(["docker", "info"], capture_output=True, check=True, timeout=60)
    except (OSError, subprocess.SubprocessError) as error:
        pytest.skip(f"there is no Docker engine: {error}")


@pytest.fixture(scope="session")
def image(docker: None) -> Iterator[str]:
    """The image, built once from the working tree."""
    name = unique("image")
    context = f"docs={ROOT / 'docs'}"
    run_docker("build", "--quiet", "--build-context", context, "--tag", name, str(ROOT / "api"), timeout=900)
    yield name
    run_docker("rmi", "--force", name, check=False)


@pytest.fixture(scope="session")
def rabbitmq(docker: None) -> Iterator[RabbitMQ]:
    """A RabbitMQ that all tests share; a test that stops it takes `start_rabbitmq`."""
    with rabbitmq_server() as server:
        yield server


@pytest.fixture(scope="session")
def postgres(docker: None) -> Iterator[Postgres]:
    """A PostgreSQL that the tests of a module share. Who ends it starts it again."""
    server = Postgres()
    try:
        server.run()
        yield server
    finally:
        server.remove()


@pytest.fixture
def rabbitmq_url(rabbitmq: RabbitMQ) -> str:
    """The URL of a virtual host of the test's own."""
    return rabbitmq.virtual_host()


@pytest.fixture
def start_rabbitmq(docker: None) -> Iterator[Callable[[], RabbitMQ]]:
    """Start a RabbitMQ of the test's own, which it may stop and start again."""
    with ExitStack() as running:
        yield lambda: running.enter_context(rabbitmq_server())
