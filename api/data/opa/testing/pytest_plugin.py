"""The plugin of pytest, by the entry point `pytest11`: `pip install 'opa-stack[testing]'` is all that it needs.

It is imported in every session of pytest in the environment: whatever is heavy is imported by the fixtures.
"""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from opa._compat.pytest import leave_unwritten

if TYPE_CHECKING:
    from opa.testing.application import OpaApp
    from opa.testing.clients import OpaAsyncClient, OpaClient
    from opa.testing.draft import Draft
    from opa.testing.schedule import OpaSchedule
    from opa.testing.servers import Servers
    from opa.testing.services import Services
    from opa.testing.tasks import OpaTasks

PREFIX = "OPA_"
KEPT = frozenset({"OPA_SETTINGS_DIR"})
PLUGINS = "plugins"
PROJECT = "opa_project"
MARKS = (
    "opa(plugins=None, settings={}, components=[], tasks='record', raises=True): what the application of the test has."
    " docs/testing.md of opa-stack",
    "opa_services(*names): start these services of docker-compose.yml for the session; skipped without Docker.",
)

PROCESS: pytest.StashKey[int] = pytest.StashKey()
VARIABLES: pytest.StashKey[dict[str, str]] = pytest.StashKey()
SERVERS: pytest.StashKey[Servers] = pytest.StashKey()
SERVICES: pytest.StashKey[Services] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser, pluginmanager: Any) -> None:
    """Called by pytest when it knows the plugin."""
    leave_unwritten(pluginmanager.rewrite_hook, "opa")
    parser.addini(PROJECT, "the folder with the plugins of opa-stack, from the rootdir", default="")


def pytest_configure(config: pytest.Config) -> None:
    """Called by pytest before it collects."""
    for mark in MARKS:
        config.addinivalue_line("markers", mark)
    config.stash[PROCESS] = os.getpid()
    # Those of the shell; what a test sets is no surprise to it.
    config.stash[VARIABLES] = {
        name: value for name, value in os.environ.items() if name.startswith(PREFIX) and name not in KEPT
    }


def pytest_unconfigure(config: pytest.Config) -> None:
    """End what was started for the session; called by pytest, also where it was interrupted."""
    if config.stash.get(PROCESS, None) != os.getpid():  # a test has forked, and its child has come to this end
        return
    if SERVERS in config.stash:
        config.stash[SERVERS].stop()
    if SERVICES in config.stash:
        config.stash[SERVICES].stop()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Start the application of an asynchronous test on the event loop of the test."""
    app: OpaApp | None = getattr(item, "funcargs", {}).get("opa_app")
    test: Any = getattr(item, "obj", None)
    if app is not None and inspect.iscoroutinefunction(test) and app.life.loop is None:
        item.obj = _started(app, test)  # type: ignore[attr-defined]  # of a function
    return (yield)


def _started(app: OpaApp, test: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(test)
    async def run(*args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        with _in_one_line():
            here = app.started_here()
            await here.__aenter__()
        try:
            result = await test(*args, **kwargs)
        except BaseException as error:
            await here.__aexit__(type(error), error, error.__traceback__)
            raise
        with _in_one_line():
            await here.__aexit__(None, None, None)
        return result

    return run


@contextmanager
def _in_one_line() -> Iterator[None]:
    """A mistake that a user can fix is told in a line, without the frames of pytest and opa-stack."""
    from opa.errors import OpaError

    __tracebackhide__ = True
    failure = None
    try:
        yield
    except OpaError as error:
        failure = "\n".join(map(str, error.each))
    if failure is not None:
        raise pytest.fail.Exception(failure, pytrace=False) from None


@pytest.fixture
def _opa_draft(request: pytest.FixtureRequest) -> Iterator[Draft]:
    with _in_one_line():
        from opa.process.extras import need

        need("httpx2", by="the fixtures of opa-stack", extra="testing")
        from opa.testing.draft import Draft
        from opa.testing.isolation import isolated
        from opa.testing.marks import NAME, wishes_of
        from opa.testing.servers import Servers

        config = request.config
        wishes = wishes_of(request.node.iter_markers(NAME))
        if SERVERS not in config.stash:
            config.stash[SERVERS] = Servers()
    of_shell = [name for name, value in config.stash[VARIABLES].items() if os.environ.get(name) == value]
    with isolated(_project(config), of_shell):
        addresses = _addresses(request)
        if addresses:
            os.environ.update({**config.stash[SERVICES].variables, **os.environ})
        draft = Draft(wishes, config.stash[SERVERS], addresses)
        yield draft
        if draft.app is not None:
            with _in_one_line():
                draft.app.stop()


def _project(config: pytest.Config) -> Path:
    """The folder of the project: as pytest is told, or its rootdir, or the folder in which it was started."""
    if named := config.getini(PROJECT):
        return config.rootpath / str(named)
    started = config.invocation_params.dir
    return config.rootpath if (config.rootpath / PLUGINS).is_dir() or not (started / PLUGINS).is_dir() else started


def _addresses(request: pytest.FixtureRequest) -> dict[str, str]:
    names = [name for mark in request.node.iter_markers("opa_services") for name in mark.args]
    if not names:
        return {}
    from opa.testing.services import NoDockerError, Services

    config = request.config
    if SERVICES not in config.stash:
        config.stash[SERVICES] = Services(Path.cwd())
    try:
        with _in_one_line():
            return config.stash[SERVICES].addresses(names)
    except NoDockerError as error:
        raise pytest.skip.Exception(str(error)) from None


@pytest.fixture
def opa_component(_opa_draft: Draft) -> Callable[[str, Any], Any]:
    """Puts something in the place of a component: `opa_component("mongodb", fake)`."""

    def replace(name: str, fake: Any) -> Any:
        __tracebackhide__ = True
        with _in_one_line():
            return _opa_draft.replace(name, fake)

    return replace


@pytest.fixture
def opa_app(_opa_draft: Draft) -> OpaApp:
    """The application of the test, with the plugins of the project. It starts when something needs it."""
    with _in_one_line():
        return _opa_draft.build()


@pytest.fixture
def opa_client(opa_app: OpaApp) -> Iterator[OpaClient]:
    """Sends requests to the application, which has started."""
    from opa.testing.clients import OpaClient

    with _in_one_line():
        opa_app.start()
    client = OpaClient(opa_app)
    yield client
    client.close()


@pytest.fixture
def opa_async_client(opa_app: OpaApp) -> OpaAsyncClient:
    """Sends requests to the application, for tests that are `async def`."""
    from opa.testing.clients import OpaAsyncClient

    return OpaAsyncClient(opa_app)


@pytest.fixture
def opa_tasks(opa_app: OpaApp) -> OpaTasks:
    """The tasks that were sent."""
    return opa_app.tasks


@pytest.fixture
def opa_schedule(opa_app: OpaApp) -> OpaSchedule:
    """The schedule: what beat would send, and when."""
    from opa.testing.schedule import OpaSchedule

    return OpaSchedule(opa_app)
