from __future__ import annotations

from typing import Any

import pytest

from opa.checks import findings_in_application
from opa.errors import PluginError, SetupError
from tests.project import Project

BROKEN = {
    "hook whose __init__ raises": (
        "class H(HookDefinition): ...\nclass G(Hook):\n    name = 'H'\n    def run(self): ...\n"
        "    def __init__(self):\n        raise KeyError('licence')"
    ),
    "hook whose __init__ ends the process": (
        "import sys\nclass H(HookDefinition): ...\nclass G(Hook):\n    name = 'H'\n    def run(self): ...\n"
        "    def __init__(self):\n        sys.exit('no licence')"
    ),
    "hook whose __init__ wants an argument": (
        "class H(HookDefinition): ...\nclass G(Hook):\n    name = 'H'\n    def run(self): ...\n"
        "    def __init__(self, x): ..."
    ),
    "hook whose order is a text": (
        "class H(HookDefinition): ...\nclass G(Hook):\n    name = 'H'\n    order = 'first'\n    def run(self): ..."
    ),
    "hook whose name is a list": "class G(Hook):\n    name = ['H']\n    def run(self): ...",
    "definition whose name is a number": "class H(HookDefinition):\n    name = 5",
    "hook whose run is a number": "class H(HookDefinition): ...\nclass G(Hook):\n    name = 'H'\n    run = 5",
    "hook without run": "class H(HookDefinition): ...\nclass G(Hook):\n    name = 'H'",
    "settings whose validator raises something else": (
        "from pydantic import model_validator\nclass S(PluginSettings):\n    key: str = ''\n"
        "    @model_validator(mode='after')\n    def read(self):\n        raise FileNotFoundError('/etc/my-licence')"
    ),
    "settings with an undefined type": "class S(PluginSettings):\n    key: 'Missing' = 1",
    "settings whose default raises": (
        "from pydantic import Field\nclass S(PluginSettings):\n    key: str = Field(default_factory=lambda: {}['k'])"
    ),
    "driver whose __init__ wants an argument": (
        "class D(Driver):\n    name = 'd'\n    def __init__(self, x): ...\n    def connect(self): ..."
    ),
    "driver whose __init__ raises": (
        "class D(Driver):\n    name = 'd'\n    def __init__(self, opts, load):\n        raise ValueError('no')"
    ),
    "handlers of exceptions that raise": "def exception_handlers(manager):\n    raise ValueError('no')",
    "handlers of exceptions that are none": "def exception_handlers(manager):\n    return [1]",
    "handlers for what is no exception": "exception_handlers = {'ValueError': print}",
    "handlers that cannot be called": "exception_handlers = {ValueError: 'answer'}",
    "router that raises when it is asked what it is": (
        "class R:\n    @property\n    def __class__(self):\n        raise RuntimeError('unbound')\nrouter = R()"
    ),
    "middleware that raises when it is counted": (
        "class L(list):\n    def __len__(self):\n        raise RuntimeError\n    __iter__ = __len__\nmiddleware = L()"
    ),
    "handlers that raise when they are asked for anything": (
        "class H:\n    def __getattribute__(self, name):\n        raise RuntimeError(name)\n"
        "    def __bool__(self):\n        raise RuntimeError\nexception_handlers = H()"
    ),
}

ODD = """
    from collections import UserDict
    from opa import get_router

    router = get_router()

    @router.get("/")
    def ask(): ...

    def ready(): ...

    class Odd:
        def fail(self, *args):
            raise RuntimeError("it stands for nothing at the moment")

        __eq__ = __bool__ = __hash__ = __getattr__ = __len__ = __iter__ = __call__ = __repr__ = fail

    class Unbound(Odd):
        __class__ = property(Odd.fail)

    class OddList(list):
        __iter__ = __len__ = __bool__ = Odd.fail

    class OddDict(UserDict):
        values = items = __iter__ = __len__ = Odd.fail

    class OddType(type):
        __getattribute__ = __eq__ = __hash__ = Odd.fail

    odd, unbound, odd_list, odd_dict = Odd(), Unbound(), OddList(), OddDict()
    OddClass = OddType("OddClass", (), {})
"""
"""Objects as a proxy is that stands for nothing yet, such as one of werkzeug or of Django's settings."""


@pytest.mark.parametrize("code", BROKEN.values(), ids=BROKEN)
def test_an_object_that_cannot_be_registered_names_its_plugin_which_can_be_skipped(project: Project, code: str) -> None:
    names = "Driver, Hook, HookDefinition, PluginSettings"
    file = project.plugin("a.py", f"from opa import {names}\n{code}")
    project.plugin("b.py", "x = 1")
    if "Driver)" in code:
        project.component("THING", "d", load="auto")
    with pytest.raises(PluginError) as caught:
        project.app()
    assert caught.value.plugin == "a"
    assert str(file) in str(caught.value)
    project.settings(PLUGIN_FAILURE="skip")
    manager = project.app().manager
    assert "a" in manager.roster.skipped
    assert "b" in manager.roster


def test_objects_that_raise_when_they_are_looked_at_disturb_nobody(project: Project) -> None:
    project.plugin("odd.py", ODD)

    with project.client() as client:
        application: Any = client.app
        assert client.get("/").status_code == 200
        assert list(findings_in_application(application)) == []


@pytest.mark.parametrize("step", ["__init__", "run"])
def test_a_setup_that_ends_the_process_is_an_error_of_its_plugin(project: Project, step: str) -> None:
    project.plugin(
        "a.py",
        f"import sys\nfrom opa import Setup\nclass S(Setup):\n    def {step}(self):\n        sys.exit('no licence')",
    )
    with (
        pytest.raises(SetupError, match="setup S of plugin 'a' failed: it calls sys.exit\\('no licence'\\)"),
        project.client(),
    ):
        pass
    project.settings(PLUGIN_FAILURE="skip")
    with project.client() as client:
        assert client.get("/readyz").json()["plugins"] == [{"name": "a", "status": "skipped"}]


def test_a_secret_that_a_validator_repeats_is_not_reported(project: Project) -> None:
    project.plugin(
        "a.py",
        "from opa import PluginSettings\nfrom pydantic import SecretStr, field_validator\n"
        "class S(PluginSettings):\n    key: SecretStr\n    @field_validator('key', mode='before')\n"
        "    def look(cls, value):\n        return {}[value]",
    )
    project.settings(PLUGIN_SETTINGS={"a": {"key": "hunter-two"}})
    with pytest.raises(PluginError) as caught:
        project.prepare()
    assert "hunter-two" not in str(caught.value)


def test_an_abstract_class_is_a_base_class(project: Project) -> None:
    project.plugin(
        "a.py",
        "import abc\nfrom opa import Driver, Hook, HookDefinition, Setup\nclass H(HookDefinition): ...\n"
        "class Base(Hook, abc.ABC):\n    name = 'H'\n    @abc.abstractmethod\n    def run(self): ...\n"
        "class Real(Base):\n    def run(self): return 1\n"
        "class BaseDriver(Driver, abc.ABC):\n    @abc.abstractmethod\n    def connect(self): ...\n"
        "class BaseSetup(Setup, abc.ABC):\n    @abc.abstractmethod\n    def run(self): ...\n",
    )
    manager = project.prepare()
    assert type(manager.hooks["H"]).__name__ == "Real"
    assert "a" not in map(manager.registry.plugin_of.get, manager.registry.setups)


def test_a_hook_is_made_once_also_where_other_plugins_are_skipped(project: Project) -> None:
    project.plugin(
        "a.py",
        "from opa import Hook, HookDefinition, state\nclass H(HookDefinition): ...\nclass G(Hook):\n    name = 'H'\n"
        "    def __init__(self): state['made'] = state.get('made', 0) + 1\n    def run(self): ...",
    )
    project.plugin("b.py", "from opa import Hook\nclass G(Hook):\n    name = 'nowhere'\n    def run(self): ...")
    project.plugin("c.py", "ready = 5")
    project.settings(PLUGIN_FAILURE="skip")
    project.app()
    from opa import state

    assert state.pop("made") == 1


def test_a_class_with_two_names_counts_once(project: Project) -> None:
    project.plugin(
        "a.py",
        "from opa import Driver, HookDefinition, PluginSettings, Setup\nclass H(HookDefinition): ...\nOldH = H\n"
        "class S(Setup): ...\nOldS = S\nclass M(PluginSettings): ...\nOldM = M\n"
        "class D(Driver):\n    name = 'd'\nOldD = D\n",
    )
    (found,) = [found for found in project.prepare().registry.objects if found.plugin.name == "a"]
    assert [len(found.hook_definitions), len(found.setups), len(found.drivers)] == [1, 1, 1]


def test_a_class_of_a_plugin_inside_another_counts_for_the_inner_one(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.plugin("acme/__init__.py", "from .reports import Seed", folder="installed")
    project.plugin("acme/reports/__init__.py", "from opa import Setup\nclass Seed(Setup): ...", folder="installed")
    monkeypatch.syspath_prepend(project.folder / "installed")
    project.settings(INSTALLED_PLUGINS=["acme", "acme.reports"])
    registry = project.prepare().registry
    assert [registry.plugin_of[setup] for setup in registry.setups if setup.__name__ == "Seed"] == ["reports"]


def test_middleware_that_a_plugin_imports_from_another_stands_once(project: Project) -> None:
    project.plugin(
        "a.py",
        "from starlette.middleware import Middleware\nfrom starlette.middleware.gzip import GZipMiddleware\n"
        "middleware = [Middleware(GZipMiddleware)]",
    )
    project.plugin("b.py", "from a import middleware")
    assert len(project.app().user_middleware) == 1
