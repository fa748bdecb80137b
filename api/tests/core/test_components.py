from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from opa import get_component, get_instance
from opa.core.lifespan import running
from opa.core.manager import PluginManager
from opa.errors import ComponentConnectError, ComponentUnavailableError, RegistrationError
from tests.project import Project

DRIVER = """
from opa import Driver, log

class Fake(Driver):
    name = "fake"
    calls = []

    def connect(self):
        self.calls.append("connect")
        self.instance = f"client of {self.component}"

    def validate(self):
        self.calls.append("validate")

    def disconnect(self):
        self.calls.append("disconnect")
"""


def connected(manager: PluginManager) -> Any:
    """The calls that a driver noted, after the manager ran once."""

    async def run() -> Any:
        async with running(manager):
            return {name: component.get_instance() for name, component in manager.optional_components.items()}

    return asyncio.run(run())


def failure(manager: PluginManager) -> str:
    with pytest.raises(ComponentConnectError) as caught:
        connected(manager)
    return str(caught.value)


def driver(body: str) -> str:
    """The text of a plugin with a driver `fake` that has `body`."""
    lines = "".join(f"    {line}\n" for line in body.strip().splitlines())
    imports = "import asyncio, time\nfrom opa import Driver, call_hook\n"
    return f'{imports}class Fake(Driver):\n    name = "fake"\n    calls = []\n{lines}'


def test_a_driver_is_connected_validated_and_disconnected(project: Project) -> None:
    project.plugin("fake.py", DRIVER)
    project.component("THING", "fake")
    manager = project.prepare()
    assert connected(manager) == {"thing": "client of thing"}
    assert manager.drivers["fake"].calls == ["connect", "validate", "disconnect"]  # type: ignore[attr-defined]


def test_connect_and_validate_may_each_be_asynchronous(project: Project) -> None:
    project.plugin(
        "fake.py",
        driver(
            """
async def connect(self):
    await asyncio.sleep(0)
    self.instance = 1
def validate(self):
    assert self.instance == 1
async def disconnect(self):
    self.calls.append("disconnect")
"""
        ),
    )
    project.component("THING", "fake")
    manager = project.prepare()
    assert connected(manager) == {"thing": 1}
    assert manager.drivers["fake"].calls == ["disconnect"]  # type: ignore[attr-defined]


def test_a_driver_has_its_options_its_manager_and_its_load(project: Project) -> None:
    project.plugin(
        "fake.py",
        driver("def connect(self):\n    self.instance = (self.opts.URL, self.opts.MORE.DEEP, self.pm, self.load)"),
    )
    project.component("THING", "fake", URL="memory://", MORE={"DEEP": 3})
    manager = project.prepare()
    assert connected(manager) == {"thing": ("memory://", 3, manager, "yes")}


def test_a_driver_may_say_what_get_instance_gives(project: Project) -> None:
    project.plugin(
        "fake.py",
        driver("def connect(self):\n    self.instance = 1\ndef get_instance(self):\n    return self.instance + 1"),
    )
    project.component("THING", "fake")
    manager = project.prepare()

    async def run() -> None:
        async with running(manager):
            assert get_instance("thing") == 2
            assert get_component("thing").instance == 1

    asyncio.run(run())


def test_names_of_components_work_in_any_case(project: Project) -> None:
    project.plugin("fake.py", DRIVER)
    project.component("MyThing", "FAKE")
    manager = project.prepare()

    async def run() -> None:
        async with running(manager):
            assert get_instance("mything") == get_instance("MYTHING") == "client of mything"

    asyncio.run(run())


def test_hooks_can_be_called_from_a_driver(project: Project) -> None:
    project.plugin("fake.py", driver("def connect(self):\n    self.instance = call_hook('url')"))
    project.plugin(
        "hooks.py",
        "from opa import Hook, HookDefinition\nclass url(HookDefinition): pass\n"
        "class fill(Hook):\n  name = 'url'\n  def run(self): return 'from a hook'\n",
    )
    project.component("THING", "fake")
    assert connected(project.prepare()) == {"thing": "from a hook"}


def test_load_no_does_not_connect_and_says_so(project: Project) -> None:
    project.plugin("fake.py", DRIVER)
    project.component("THING", "fake", load="no")
    manager = project.prepare()
    assert connected(manager) == {}
    with pytest.raises(ComponentUnavailableError, match="^component 'thing' is not loaded: LOAD is no$"):
        get_instance("thing")


def test_load_auto_looks_for_the_host_and_says_which_does_not_resolve(project: Project) -> None:
    project.plugin("fake.py", DRIVER)
    project.component("THING", "fake", load="auto", URL="fake://nowhere.invalid:1")
    manager = project.prepare()
    assert connected(manager) == {}
    with pytest.raises(ComponentUnavailableError) as caught:
        get_instance("thing")
    assert str(caught.value) == (
        "component 'thing' is not loaded: host 'nowhere.invalid' does not resolve, LOAD is auto"
    )


def test_a_host_that_is_a_service_with_a_profile_is_told_with_that(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SERVICE_PROFILES", "= other.invalid= a.invalid=a  nowhere.invalid=sql")
    project.plugin("fake.py", DRIVER)
    project.component("THING", "fake", load="auto", URL="fake://nowhere.invalid:1")
    manager = project.prepare()
    assert connected(manager) == {}
    with pytest.raises(ComponentUnavailableError) as caught:
        get_instance("thing")
    assert str(caught.value) == (
        "component 'thing' is not loaded: host 'nowhere.invalid' does not resolve"
        " (Docker Compose starts 'nowhere.invalid' if COMPOSE_PROFILES in .env has 'sql'), LOAD is auto"
    )


def test_load_auto_needs_one_host_of_each_url(project: Project) -> None:
    project.plugin("fake.py", DRIVER)
    project.component("ONE", "fake", load="auto", URL="fake://nowhere.invalid,localhost")
    project.component("BOTH", "fake", load="auto", A_URL="fake://localhost", B_URL="fake://nowhere.invalid")
    assert connected(project.prepare()) == {"one": "client of one"}


def test_load_auto_takes_false_from_connect_for_not_there(project: Project) -> None:
    project.plugin("fake.py", driver("def connect(self):\n    return False"))
    project.component("THING", "fake", load="auto")
    manager = project.prepare()
    assert connected(manager) == {}
    assert "its driver fake says that it is unavailable" in str(manager.component_states["thing"])


def test_load_yes_takes_false_from_connect_for_an_error(project: Project) -> None:
    project.plugin("fake.py", driver("def connect(self):\n    return False"))
    project.component("THING", "fake", load="yes")
    project.settings(COMPONENT_CONNECT_TIMEOUT=0.3)
    assert "component 'thing' (driver fake) did not connect within 0.3 s" in failure(project.prepare())


def test_load_yes_of_a_host_that_does_not_resolve_is_an_error_that_says_so(project: Project) -> None:
    project.plugin("fake.py", DRIVER)
    project.component("THING", "fake", URL="fake://nowhere.invalid")
    project.settings(COMPONENT_CONNECT_TIMEOUT=0.3)
    error = failure(project.prepare())
    assert "host 'nowhere.invalid' does not resolve" in error
    assert "setting OPTIONAL_COMPONENTS.THING" in error


def test_load_auto_of_a_host_that_resolves_must_connect(project: Project) -> None:
    project.plugin("fake.py", driver("def connect(self):\n    raise ConnectionRefusedError('refused')"))
    project.component("THING", "fake", load="auto", URL="fake://localhost")
    project.settings(COMPONENT_CONNECT_TIMEOUT=0.3)
    manager = project.prepare()
    assert "ConnectionRefusedError: refused" in failure(manager)
    assert manager.component_states["thing"].status == "failed"


def test_a_server_that_is_late_is_tried_again(project: Project) -> None:
    project.plugin(
        "fake.py",
        driver(
            """
def connect(self):
    self.calls.append(1)
    self.instance = object()
def validate(self):
    if len(self.calls) < 3:
        raise ConnectionError("not yet")
def disconnect(self):
    self.calls.append("closed")
"""
        ),
    )
    project.component("THING", "fake")
    manager = project.prepare()
    assert list(connected(manager)) == ["thing"]
    assert manager.drivers["fake"].calls == [1, "closed", 1, "closed"]  # type: ignore[attr-defined]


def test_an_error_that_another_try_cannot_help_is_reported_at_once(project: Project) -> None:
    project.plugin(
        "fake.py",
        driver(
            """
permanent_errors = (PermissionError,)
def connect(self):
    self.calls.append(1)
    raise PermissionError("wrong password")
"""
        ),
    )
    project.component("THING", "fake")
    manager = project.prepare()
    assert "did not connect: PermissionError: wrong password" in failure(manager)
    assert manager.drivers["fake"].calls == [1]  # type: ignore[attr-defined]


def test_a_connect_that_hangs_ends_at_the_limit(project: Project) -> None:
    project.plugin("fake.py", driver("async def connect(self):\n    await asyncio.sleep(3600)"))
    project.plugin("fake2.py", driver("def connect(self):\n    time.sleep(30)").replace('"fake"', '"fake2"'))
    project.settings(COMPONENT_CONNECT_TIMEOUT=0.3)
    for name in ("fake", "fake2"):
        project.component("THING", name)
        assert "did not connect within 0.3 s (1 try)" in failure(project.prepare())


@pytest.mark.parametrize(("connect", "pause"), [("def", "time.sleep"), ("async def", "await asyncio.sleep")])
def test_components_connect_side_by_side(project: Project, connect: str, pause: str) -> None:
    """Each waits until all have begun: one after another they would never be done."""
    project.plugin(
        "fake.py",
        driver(
            f"""
{connect} connect(self):
    self.calls.append(1)
    while len(self.calls) < 40:
        {pause}(0.001)
    self.instance = 1
"""
        ),
    )
    for number in range(40):
        project.component(f"THING{number}", "fake")
    assert len(connected(project.prepare())) == 40


def test_the_event_loop_continues_while_a_synchronous_driver_connects(project: Project) -> None:
    project.plugin(
        "fake.py",
        driver("released = False\ndef connect(self):\n    while not type(self).released:\n        time.sleep(0.001)"),
    )
    project.component("THING", "fake")
    manager = project.prepare()

    async def run() -> None:
        asyncio.get_running_loop().call_later(0.05, setattr, manager.drivers["fake"], "released", True)
        async with running(manager):
            pass

    asyncio.run(run())


def test_a_component_that_fails_to_connect_disconnects_the_others_and_its_error_stays(
    project: Project,
) -> None:
    project.plugin("fake.py", DRIVER)
    project.plugin(
        "bad.py",
        'import asyncio\nfrom opa import Driver\nclass Bad(Driver):\n  name="bad"\n  async def connect(self):\n'
        '    while "validate" not in self.pm.drivers["fake"].calls:\n      await asyncio.sleep(0.001)\n'
        '    await asyncio.sleep(0.05)\n    raise TypeError("first")\n',
    )
    project.component("GOOD", "fake")
    project.component("WRONG", "bad")
    manager = project.prepare()
    assert "TypeError: first" in failure(manager)
    assert manager.drivers["fake"].calls == ["connect", "validate", "disconnect"]  # type: ignore[attr-defined]


def test_components_are_disconnected_in_reverse_and_one_that_fails_does_not_keep_the_others(
    project: Project,
) -> None:
    project.plugin(
        "fake.py",
        driver(
            """
async def connect(self):
    await asyncio.sleep(self.opts.get("WAIT", 0))
    self.instance = 1
def disconnect(self):
    self.calls.append(self.component)
    if self.component == "b":
        raise RuntimeError("no")
"""
        ),
    )
    project.component("A", "fake", WAIT=0)
    project.component("B", "fake", WAIT=0.1)
    project.component("C", "fake", WAIT=0.2)
    manager = project.prepare()
    connected(manager)
    assert manager.drivers["fake"].calls == ["c", "b", "a"]  # type: ignore[attr-defined]


def test_a_disconnect_that_hangs_ends_at_the_limit(project: Project) -> None:
    project.plugin(
        "fake.py",
        driver("def connect(self):\n    self.instance = 1\nasync def disconnect(self):\n    await asyncio.sleep(3600)"),
    )
    project.component("THING", "fake")
    project.settings(COMPONENT_DISCONNECT_TIMEOUT=0.1)
    started = time.monotonic()
    connected(project.prepare())
    assert time.monotonic() - started < 60


def test_two_drivers_of_one_name_are_an_error(project: Project) -> None:
    project.plugin("a.py", DRIVER)
    project.plugin("b.py", DRIVER.replace('"fake"', '"FAKE"'))
    with pytest.raises(RegistrationError, match="driver 'FAKE' of plugin 'b' is defined twice"):
        project.prepare()


def test_a_component_that_is_not_configured_says_which_are(project: Project) -> None:
    project.prepare()
    with pytest.raises(ComponentUnavailableError, match="component 'other' is not configured.*walrus"):
        get_instance("other")


def test_a_password_is_in_no_message(project: Project) -> None:
    project.plugin("fake.py", driver("def connect(self):\n    raise ConnectionError(f'cannot reach {self.opts.URL}')"))
    project.component("THING", "fake", URL="fake://user:hunter2@localhost/")
    project.settings(COMPONENT_CONNECT_TIMEOUT=0.2)
    assert "hunter2" not in failure(project.prepare())


@pytest.mark.parametrize(("bases", "keeps"), [("Driver", False), ("RedisAioredis", True)])
def test_a_driver_of_a_plugin_has_no_use_for_the_options_of_the_defaults(
    project: Project, bases: str, keeps: bool
) -> None:
    project.plugin(
        "mine.py",
        f"""
        from opa import Driver
        from driver_redis import *
        import driver_redis
        RedisAioredis = next(d for d in vars(driver_redis).values() if getattr(d, "name", "") == "redis-aioredis")
        class Mine({bases}):
            name = "mine"
        """,
    )
    project.settings(
        OPTIONAL_COMPONENTS={
            "dynaconf_merge": True,
            "WALRUS": {
                "dynaconf_merge": True,
                "DRIVER": "mine",
                "LOAD": "auto",
                "OPTS": {"dynaconf_merge": True, "socket_timeout": 1},
            },
        }
    )

    driver = project.prepare().component_states["walrus"].driver

    assert driver is not None
    assert dict(driver.opts) == ({"URL": "redis://redis"} if keeps else {}) | {"socket_timeout": 1}


def test_an_error_says_that_the_address_is_that_of_the_defaults(project: Project) -> None:
    project.settings(
        OPTIONAL_COMPONENTS={"dynaconf_merge": True, "WALRUS": {"dynaconf_merge": True, "LOAD": "yes"}},
        COMPONENT_CONNECT_TIMEOUT=0.2,
    )

    assert "(setting OPTIONAL_COMPONENTS.WALRUS; URL from default-settings.yaml)" in failure(project.prepare())


@pytest.mark.parametrize("load", ["auto", "yes"])
@pytest.mark.parametrize("opts", ['{**opts, "BASE_URL": "http://x"}', "None", '{1: "a", None: "b"}', "object()"])
def test_a_driver_may_make_of_its_options_what_it_likes(project: Project, opts: str, load: str) -> None:
    project.plugin(
        "fake.py",
        driver(
            f"""
def __init__(self, opts=None, load="auto"):
    super().__init__(opts, load)
    self.opts = {opts}
def hosts(self):
    super().hosts()
    return []
def connect(self):
    raise NotImplementedError("its answer is odd")
"""
        ),
    )
    project.component("WALRUS", "fake", load=load)
    assert "its answer is odd (setting OPTIONAL_COMPONENTS.WALRUS)" in failure(project.prepare())
