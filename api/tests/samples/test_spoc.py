"""Plugins and programs in the shapes of SPOC's page on plugins; only the line that imports the framework is ours."""

from __future__ import annotations

import importlib
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from opa import Framework, Schema, get_plugins, run_group
from opa.errors import GroupError, PluginImportError
from tests.project import Project
from tests.samples.page import Page

PAGE = Page(
    "TOML Configuration",
    "Python Configuration",
    "Configuration Merging",
    "Internal Implementation",
    "What Gets Loaded",
    "Basic Access",
    "Iterating Plugins by Group",
    "Using Plugin Data",
    "Simple Function Plugin",
    "Class-Based Plugin",
    "Plugin with Configuration",
    "Plugin Factory Pattern",
    "Module-Level Plugins",
    "Plugin Registry Pattern",
    "Dynamic Plugin Loading",
    "1. Use Descriptive Group Names",
    "2. Document Plugin Interfaces",
    "3. Handle Plugin Failures Gracefully",
    "4. Version Your Plugin Interfaces",
    "5. Separate Configuration from Code",
    "6. Test Plugins Independently",
    "7. Provide Plugin Examples",
    "8. Document Plugin Dependencies",
    "Complete Plugin Example: Plugin Implementation",
    "Complete Plugin Example: Configuration",
    "Complete Plugin Example: Usage in Application",
)

PAGE.counterpart("TOML Configuration", "`[spoc.plugins]`", "mode, debug")
PAGE.counterpart("Python Configuration", "`PLUGINS` and other names", "`INSTALLED_APPS`")
PAGE.counterpart("Configuration Merging", "both are merged")
PAGE.counterpart("Internal Implementation", "`framework.importer.load_from_uri(uri)`")
PAGE.counterpart("Using Plugin Data", "hooks for startup and shutdown")
PAGE.counterpart("Class-Based Plugin", "`configure(**kwargs)`")
PAGE.counterpart("Plugin Factory Pattern", "a factory")
PAGE.counterpart("Plugin Registry Pattern", "a registry of your own", "executing a group")
PAGE.counterpart("1. Use Descriptive Group Names", "a group with any name")
PAGE.counterpart("3. Handle Plugin Failures Gracefully", "catching what a plugin raises")
PAGE.counterpart("4. Version Your Plugin Interfaces", "an interface with a version")
PAGE.counterpart("5. Separate Configuration from Code", "configuration of a plugin")
PAGE.counterpart("6. Test Plugins Independently", "tests of a plugin by itself")
PAGE.counterpart("7. Provide Plugin Examples", "the group `middleware`")
PAGE.counterpart("8. Document Plugin Dependencies", "the packages that a plugin needs")

ECHO = """
from opa import get_router

router = get_router()

@router.get("/echo")
def echo():
    return "echo"
"""


@pytest.mark.parametrize("heading", PAGE.headings)
def test_every_sample_of_the_page_has_its_equal(heading: str) -> None:
    PAGE.check(heading)


@pytest.fixture
def shop(project: Project) -> Project:
    """A package `shop` with subpackages, which the tests fill, and a route that says something."""
    for package in ("shop", "shop/steps", "shop/parts", "shop/stores"):
        project.plugin(f"{package}/__init__.py")
    project.plugin("echo.py", ECHO)
    return project


def settings(project: Project, name: str, text: str) -> None:
    project.plugin(name, text, folder="settings")


def run(program: str) -> dict[str, Any]:
    """Run a program's text, and give its names."""
    names: dict[str, Any] = {"__name__": "program"}
    exec(textwrap.dedent(program), names)
    return names


def uris(groups: Any) -> dict[str, list[str]]:
    return {name: list(members) for name, members in groups.items()}


# Configuration


@PAGE.sample("TOML Configuration")
def test_groups_can_stand_in_a_toml_file(shop: Project) -> None:
    shop.plugin("shop/moments.py", "def opens(): pass\ndef closes(): pass")
    shop.plugin("shop/checks.py", "def price(text): return text.isdigit()\ndef name(text): return bool(text)")
    settings(
        shop,
        "groups.toml",
        """
        [default]
        debug = true

        # one list a group
        [default.plugins]
        moments = [
            "shop.moments.opens",
            "shop.moments.closes"
        ]
        checks = ["shop.checks.price", "shop.checks.name"]
        """,
    )
    assert uris(Framework().plugins) == {
        "moments": ["shop.moments.opens", "shop.moments.closes"],
        "checks": ["shop.checks.price", "shop.checks.name"],
    }


@PAGE.sample("Python Configuration")
def test_groups_in_a_python_file_beside_settings_of_the_users_own(shop: Project) -> None:
    shop.plugin("shop/steps/first.py", "def number(request): return request")
    shop.plugin("door.py", "def open_for(request): return request")
    settings(
        shop,
        "settings.py",
        """
        import pathlib

        HERE: pathlib.Path = pathlib.Path(__file__).parent
        INSTALLED_APPS: list = ["shop", "door"]
        PLUGINS: dict = {"middleware": ["shop.steps.first.number", "door.open_for"]}
        DEBUG = True
        """,
    )
    framework = Framework()
    assert uris(framework.plugins) == {"middleware": ["shop.steps.first.number", "door.open_for"]}
    assert shop.folder / "settings" == framework.config.settings.HERE
    with shop.client() as client:
        assert client.get("/echo").json() == "echo"


@PAGE.sample("Configuration Merging")
def test_groups_of_a_toml_and_of_a_python_file_are_merged(shop: Project) -> None:
    shop.plugin("shop/all.py", "def a(request): pass\ndef b(request): pass\ndef c(): pass\nclass D: pass")
    settings(shop, "10.toml", '[default.PLUGINS]\nsteps = ["shop.all.b"]\nmoments = ["shop.all.c"]')
    settings(shop, "20.py", 'PLUGINS: dict = {"steps": ["shop.all.a", "shop.all.b"], "stores": ["shop.all.D"]}')
    assert uris(Framework().plugins) == {
        "steps": ["shop.all.b", "shop.all.a"],
        "moments": ["shop.all.c"],
        "stores": ["shop.all.D"],
    }


@PAGE.sample("Internal Implementation")
@PAGE.sample("What Gets Loaded")
def test_a_uri_leads_to_a_function_a_class_an_instance_or_a_module_wherever_it_is_written(shop: Project) -> None:
    shop.plugin("shop/all.py", "def function(): pass\nclass Class: pass\ninstance = Class()")
    named = ["shop.all", "shop.all.function", "shop.all.Class", "shop.all.instance"]
    shop.settings(PLUGINS={"things": named})
    framework = Framework()
    assert dict(framework.plugins["things"]) == {uri: framework.importer.load_from_uri(uri) for uri in named}
    assert named == framework.config.settings.PLUGINS["things"]


# Access

THINGS = """
called = []

def opens():
    called.append("opens")

def fails():
    raise ValueError("not today")

def warms():
    called.append("warms")

class Memory:
    def connect(self):
        return "in memory"

class Disk:
    def __init__(self):
        raise OSError("no disk")
"""

START = """
from pathlib import Path
from opa import Framework, Schema

framework = Framework(base_dir=Path("."), schema=Schema(modules=["models", "pages"]))
"""


@pytest.fixture
def things(shop: Project) -> Project:
    """The same with groups."""
    shop.plugin("shop/all.py", THINGS)
    shop.plugin("shop/models.py", "from opa import register\n@register('models')\nclass Order: pass")
    shop.settings(
        PLUGINS={
            "middleware": ["shop.all.warms"],
            "hooks": ["shop.all.opens", "shop.all.fails", "shop.all.warms"],
            "database": ["shop.all.Memory"],
        }
    )
    return shop


@PAGE.sample("Basic Access")
def test_a_program_makes_a_framework_and_asks_it_for_groups(things: Project) -> None:
    program = run(
        f"""{START}
found = [(uri, value.__name__) for uri, value in framework.plugins.get("hooks", {{}}).items()]
nothing = framework.plugins.get("cache", {{}})
"""
    )
    assert program["found"][0] == ("shop.all.opens", "opens")
    assert program["nothing"] == {}
    assert list(program["framework"].plugins["models"]) == ["shop.models.Order"]


@PAGE.sample("Iterating Plugins by Group")
def test_a_program_calls_functions_and_makes_objects_of_a_group(things: Project) -> None:
    program = run(
        f"""{START}
made = []
for group in ("middleware", "database", "cache"):
    if group in framework.plugins:
        made += [value() for _, value in framework.plugins[group].items()]
"""
    )
    assert sys.modules["shop.all"].called == ["warms"]
    assert [type(value).__name__ for value in program["made"]] == ["NoneType", "Memory"]


WITH_FRAMEWORK = """
failed = {}

def run_hooks(framework):
    for uri, hook in framework.plugins.get("hooks", {}).items():
        try:
            hook()
        except Exception as error:
            failed[uri] = str(error)

def connected(framework):
    classes = framework.plugins["database"] if "database" in framework.plugins else {}
    return {uri: cls().connect() for uri, cls in classes.items()}
"""


@PAGE.sample("Using Plugin Data")
def test_functions_that_take_a_framework_in_a_program(things: Project) -> None:
    program = run(f"{START}{WITH_FRAMEWORK}\nrun_hooks(framework)\nconnections = connected(framework)")
    assert sys.modules["shop.all"].called == ["opens", "warms"]
    assert program["failed"] == {"shop.all.fails": "not today"}
    assert program["connections"] == {"shop.all.Memory": "in memory"}


@PAGE.sample("Using Plugin Data")
def test_the_same_functions_in_a_served_application(things: Project) -> None:
    starting = """
from opa import Framework

def ready():
    run_hooks(Framework.current())

def startup():
    global connections
    connections = connected(Framework.current())
"""
    things.plugin("boot.py", WITH_FRAMEWORK + starting)
    things.settings(PLUGINS={"hooks": ["shop.all.warms"], "database": ["shop.all.Memory"]})
    with things.client():
        assert sys.modules["shop.all"].called == ["warms"]
        assert sys.modules["boot"].connections == {"shop.all.Memory": "in memory"}


# Kinds of plugins


@PAGE.sample("Simple Function Plugin")
def test_a_function_of_request_is_called_for_each_request(shop: Project) -> None:
    shop.plugin(
        "shop/steps/notes.py",
        """
        import logging

        notes = []

        def note(request):
            notes.append(" ".join([request.method, request.path]))
            logging.getLogger("shop").info(notes[-1])
            return request
        """,
    )
    shop.settings(PLUGINS={"middleware": ["shop.steps.notes.note"]})
    with shop.client() as client:
        assert client.get("/echo").json() == "echo"
        assert sys.modules["shop.steps.notes"].notes == ["GET /echo"]


@pytest.fixture
def psycopg2(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.syspath_prepend(str(Path(__file__).parent / "stubs"))
    yield
    sys.modules.pop("psycopg2", None)


LEDGER = """
import psycopg2

class Ledger:
    def __init__(self):
        self.options, self.database = {}, None

    def configure(self, **kwargs):
        self.options.update(kwargs)
        return self

    def connect(self):
        self.database = self.database or psycopg2.connect(**self.options)
        return self.database

    def disconnect(self):
        database, self.database = self.database, None
        database.close()

    def execute(self, query: str):
        rows = self.connect().cursor()
        rows.execute(query)
        return rows.fetchall()
"""


@pytest.mark.usefixtures("psycopg2")
@PAGE.sample("Class-Based Plugin")
def test_a_backend_that_the_program_makes_and_configures(shop: Project) -> None:
    shop.plugin("shop/stores/ledger.py", LEDGER)
    shop.settings(PLUGINS={"database": ["shop.stores.ledger.Ledger"]})
    program = run(
        f"""{START}
ledger = framework.plugins["database"]["shop.stores.ledger.Ledger"]()
ledger.configure(host="db.example", user="ada", password="hidden")
database = ledger.connect()
rows = ledger.execute("SELECT 1")
ledger.disconnect()
"""
    )
    assert program["rows"] == [("SELECT 1", "ada")]
    assert program["database"].closed


@pytest.mark.usefixtures("psycopg2")
@PAGE.sample("Class-Based Plugin")
def test_the_same_backend_configured_by_its_settings(shop: Project) -> None:
    shop.plugin("shop/stores/ledger.py", LEDGER)
    opts = {"host": "db.example", "user": "bea"}
    shop.settings(PLUGINS={"database": [{"URI": "shop.stores.ledger.Ledger", "OPTS": opts}]})
    with shop.client():
        ledger = get_plugins("database")["shop.stores.ledger.Ledger"]
        assert ledger.connect().parameters == opts
        assert ledger.execute("SELECT 2") == [("SELECT 2", "bea")]


DRAWER = """
import redis

class Drawer:
    def __init__(self, framework=None):
        self.server = None
        if framework:
            self.configure(**framework.config.settings.DRAWER)

    def configure(self, host="nowhere.example", port=1, db=0, **kwargs):
        self.server = redis.Redis(host, port, db, decode_responses=True, **kwargs)

    def put(self, key, value, ttl=60):
        return self.server.set(key, value, ex=ttl)

    def take(self, key):
        return self.server.getdel(key)
"""


@PAGE.sample("Plugin with Configuration")
def test_a_cache_that_takes_its_settings_from_a_framework_or_from_opts(shop: Project, redis_url: str) -> None:
    uri = "shop.stores.drawer.Drawer"
    opts = {"host": "127.0.0.1", "port": int(redis_url.rpartition(":")[2]), "db": 7, "max_connections": 3}
    shop.plugin("shop/stores/drawer.py", DRAWER)

    settings(shop, "settings.py", f"DRAWER = {opts}\nPLUGINS = {{'cache': ['{uri}']}}")
    framework = Framework()
    keeps_things(framework.plugins["cache"][uri](framework))
    with shop.client():
        keeps_things(get_plugins("cache")[uri](framework=Framework.current()))

    settings(shop, "settings.py", f"PLUGINS = {{'cache': [{{'URI': '{uri}', 'OPTS': {opts}}}]}}")
    keeps_things(Framework().plugins["cache"][uri])


def keeps_things(drawer: Any) -> None:
    assert drawer.put("sample", "kept")
    assert [drawer.take("sample"), drawer.take("sample")] == ["kept", None]
    assert drawer.server.connection_pool.max_connections == 3
    drawer.server.close()


CHECKS = """
from typing import Callable

def make_domain_check(domains=None) -> Callable:
    def check(address: str) -> bool:
        name, at, domain = address.partition("@")
        return bool(name and at and domain) and (domains is None or domain in domains)
    return check

def make_prefix_check(prefix="+1") -> Callable:
    return lambda number: number.startswith(prefix) and number[len(prefix):].isdigit()
"""


@PAGE.sample("Plugin Factory Pattern")
def test_factories_that_a_program_calls(shop: Project) -> None:
    shop.plugin("shop/parts/checks.py", CHECKS)
    Framework()
    program = run(
        """
        from shop.parts.checks import make_domain_check, make_prefix_check

        addresses = [make_domain_check(domains=["here.example"])(text) for text in ("a@here.example", "a@x", "here")]
        numbers = [make_prefix_check(prefix="+44")(text) for text in ("+442079460123", "+12079460123", "+44x")]
        """
    )
    assert program["addresses"] == [True, False, False]
    assert program["numbers"] == [True, False, False]


@PAGE.sample("Plugin Factory Pattern")
def test_factories_that_the_settings_call(shop: Project) -> None:
    shop.plugin("shop/parts/checks.py", CHECKS)
    by_domain = {"URI": "shop.parts.checks.make_domain_check", "OPTS": {"domains": ["x"]}, "FACTORY": True}
    by_prefix = {"URI": "shop.parts.checks.make_prefix_check", "FACTORY": True}
    shop.settings(PLUGINS={"checks": [by_domain, by_prefix]})
    shop.prepare()
    assert [outcome.value for outcome in run_group("checks", "a@x").values()] == [True, False]
    assert [outcome.value for outcome in run_group("checks", "+1555").values()] == [False, True]


@PAGE.sample("Module-Level Plugins")
def test_functions_that_a_package_gives_on(shop: Project) -> None:
    shop.plugin(
        "shop/steps/__init__.py",
        "from .names import name_of\nfrom .notes import note\n\n__all__ = ['name_of', 'note']",
    )
    shop.plugin("shop/steps/names.py", "def name_of(request):\n    request.state.name = 'ada'\n    return request")
    shop.plugin("shop/steps/notes.py", "names = []\ndef note(request):\n    names.append(request.state.name)")
    settings(shop, "groups.toml", '[default.PLUGINS]\nmiddleware = [\n  "shop.steps.name_of",\n  "shop.steps.note",\n]')
    with shop.client() as client:
        assert client.get("/echo").json() == "echo"
        assert sys.modules["shop.steps.notes"].names == ["ada"]


SHELF = """
class Shelf:
    def __init__(self):
        self.boxes = {}

    def put_in(self, box):
        def put(thing):
            self.boxes.setdefault(box, []).append(thing)
            return thing
        return put

    def call_all(self, box, *args, **kwargs):
        return [thing(*args, **kwargs) for thing in self.boxes.get(box, ())]

shelf = Shelf()
"""
ON_THE_SHELF = """
from shop.parts.shelf import shelf

@shelf.put_in("middleware")
def knows(request):
    if "authorization" not in {name.lower() for name in request.headers}:
        raise ValueError("who are you?")
    return request

@shelf.put_in("middleware")
def may(request):
    if request.user.has_permission("buy"):
        return request
    raise PermissionError("not you")
"""


@PAGE.sample("Plugin Registry Pattern")
def test_a_registry_of_the_programs_own(shop: Project) -> None:
    shop.plugin("shop/parts/shelf.py", SHELF)
    shop.plugin("shop/steps/__init__.py", "from . import rights")
    shop.plugin("shop/steps/rights.py", ON_THE_SHELF)
    Framework(schema=Schema(modules=["steps"]))
    shelf = run("from shop.parts.shelf import shelf")["shelf"]
    user = SimpleNamespace(has_permission=lambda name: name == "buy")
    request = SimpleNamespace(headers={"Authorization": "token"}, user=user)
    assert [step(request) for step in shelf.boxes["middleware"]] == [request, request]
    assert shelf.call_all("middleware", request) == [request, request]
    with pytest.raises(ValueError, match="who are you"):
        shelf.call_all("middleware", SimpleNamespace(headers={}, user=user))


@PAGE.sample("Plugin Registry Pattern")
def test_registered_rights_guard_a_served_application(shop: Project) -> None:
    shop.plugin("shop/parts/shelf.py", SHELF)
    shop.plugin("shop/steps/rights.py", ON_THE_SHELF)
    shop.plugin(
        "users.py",
        """
        from starlette.responses import PlainTextResponse

        class User:
            def __init__(self, permissions):
                self.permissions = permissions

            def has_permission(self, name):
                return name in self.permissions

        def user_of(request):
            request.scope["user"] = User(request.headers.get("x-may", "").split())

        async def refused(request, error):
            return PlainTextResponse(str(error), 403)

        exception_handlers = {ValueError: refused, PermissionError: refused}
        """,
    )
    shop.settings(PLUGINS={"middleware": ["users.user_of", "shop.steps.rights.knows", "shop.steps.rights.may"]})
    with shop.client() as client:
        nobody = client.get("/echo")
        refused = client.get("/echo", headers={"Authorization": "token"})
        ada = client.get("/echo", headers={"Authorization": "token", "X-May": "look buy"})
    assert (nobody.status_code, nobody.text) == (403, "who are you?")
    assert (refused.status_code, refused.text) == (403, "not you")
    assert ada.json() == "echo"


@PAGE.sample("Plugin Registry Pattern")
def test_the_registry_that_is_there_already(shop: Project) -> None:
    shop.plugin(
        "rights.py",
        """
        from opa import register

        @register("rights")
        def knows(request):
            if "token" not in request:
                raise ValueError("missing token")
            return request

        @register("rights")
        def may(request):
            return request
        """,
    )
    shop.prepare()
    outcomes = run_group("rights", {})
    assert str(outcomes["rights.knows"].error) == "missing token"
    assert outcomes["rights.may"].value == {}


@PAGE.sample("Dynamic Plugin Loading")
def test_a_loader_that_is_given_a_framework(things: Project) -> None:
    things.plugin(
        "shop/parts/loading.py",
        """
        import functools

        class Loading:
            def __init__(self, framework):
                self.framework = framework
                self.load = functools.cache(framework.importer.load_from_uri)

            def load_all(self, group: str) -> list:
                known = self.framework.plugins
                return list(known[group].values()) if group in known else []

            def make(self, thing, options: dict):
                made = thing() if isinstance(thing, type) else thing
                for configure in filter(None, [getattr(made, "configure", None)]):
                    configure(**options)
                return made
        """,
    )
    framework = Framework()
    loading = importlib.import_module("shop.parts.loading").Loading(framework)
    memory = loading.load("shop.all.Memory")
    assert memory is loading.load("shop.all.Memory")
    assert loading.load_all("database") == [memory]
    assert loading.load_all("nothing") == []
    assert loading.make(memory, {}).connect() == "in memory"
    with pytest.raises(GroupError, match="module 'shop.all' has no attribute 'Memry', did you mean 'Memory'"):
        loading.load("shop.all.Memry")


# Best practices


@PAGE.sample("1. Use Descriptive Group Names")
def test_a_group_may_have_any_name(shop: Project) -> None:
    shop.plugin("shop/all.py", "def check(request): pass")
    names = ["price_checks", "label_printers", "night_jobs", "misc"]
    shop.settings(PLUGINS={name: ["shop.all.check"] for name in names})
    assert list(Framework().plugins) == names


@PAGE.sample("2. Document Plugin Interfaces")
def test_an_interface_that_is_a_protocol(shop: Project) -> None:
    shop.plugin(
        "shop/parts/letters.py",
        '''
        """Sends letters; POST = {"office": "…"} in the settings says where."""

        from typing import Protocol, runtime_checkable

        @runtime_checkable
        class Sender(Protocol):
            def send(self, to: str, text: str) -> bool: ...

        class Post:
            def send(self, to: str, text: str) -> bool:
                return bool(to and text)
        ''',
    )
    shop.settings(PLUGINS={"interfaces": ["shop.parts.letters.Sender"], "senders": ["shop.parts.letters.Post"]})
    with shop.client():
        (interface,), (sender,) = (get_plugins(group).values() for group in ("interfaces", "senders"))
        assert isinstance(sender(), interface)


@PAGE.sample("3. Handle Plugin Failures Gracefully")
def test_a_program_continues_without_a_plugin_that_cannot_be_made(things: Project) -> None:
    things.settings(PLUGINS={"database": ["shop.all.Disk", "shop.all.Memory", "shop.all.warms"]})
    program = run(
        f"""{START}
def made(framework, group: str):
    if group in framework.plugins:
        for uri, thing in framework.plugins[group].items():
            try:
                yield thing() if isinstance(thing, type) else thing
            except OSError:
                pass

some, none = list(made(framework, "database")), list(made(framework, "nothing"))
"""
    )
    memory, function = program["some"]
    assert (memory.connect(), function.__name__, program["none"]) == ("in memory", "warms", [])


@PAGE.sample("4. Version Your Plugin Interfaces")
def test_an_interface_with_a_version(shop: Project) -> None:
    shop.plugin(
        "storing.py",
        """
        from typing import Any, Protocol

        class StoreV2(Protocol):
            VERSION = "2.0"

            def open(self) -> Any: ...
            def close(self) -> None: ...
        """,
    )
    shop.meta("storing-meta.json", {"version": "2.0"})
    shop.plugin("stored.py", "from storing import StoreV2\nassert StoreV2.VERSION == '2.0'")
    shop.meta("stored-meta.json", {"requires": ["storing>=2,<3"]})
    with shop.client() as client:
        assert client.get("/echo").json() == "echo"


@PAGE.sample("5. Separate Configuration from Code")
def test_configuration_of_plugins_in_a_settings_file(shop: Project) -> None:
    shop.plugin("shop/stores/memory.py", "class Memory: pass")
    settings(
        shop,
        "settings.py",
        """
        STORES = {"disk": {"path": "/somewhere", "level": 0}, "memory": {"items": 20}}
        PLUGINS = {"stores": ["shop.stores.memory.Memory"]}
        """,
    )
    framework = Framework()
    assert uris(framework.plugins) == {"stores": ["shop.stores.memory.Memory"]}
    assert dict(**framework.config.settings.STORES["disk"]) == {"path": "/somewhere", "level": 0}
    assert framework.config.settings.STORES["memory"]["items"] == 20


PIGEON = """
class Pigeon:
    def configure(self, loft):
        self.loft = loft

    def send(self, to, text):
        if not to.startswith(self.loft):
            raise ValueError(f"knows no way to {to}")
        return True
"""


@PAGE.sample("6. Test Plugins Independently")
def test_a_plugin_is_tested_without_an_application(shop: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.plugin("shop/parts/pigeon.py", PIGEON)
    monkeypatch.syspath_prepend(str(shop.plugins))
    try:
        program = run(
            """
            import pytest
            from shop.parts.pigeon import Pigeon

            def flies(to):
                pigeon = Pigeon()
                pigeon.configure(loft="Paris")
                return pigeon.send(to, "hello")

            def test_it_flies():
                assert flies("Paris, Rue de Rivoli") is True

            def test_it_stays_at_home():
                with pytest.raises(ValueError, match="knows no way"):
                    flies("Rome")
            """
        )
        program["test_it_flies"]()
        program["test_it_stays_at_home"]()
    finally:
        for name in [name for name in sys.modules if name.partition(".")[0] == "shop"]:
            del sys.modules[name]


@PAGE.sample("6. Test Plugins Independently")
def test_the_same_plugin_is_configured_by_the_settings(shop: Project) -> None:
    shop.plugin("shop/parts/pigeon.py", PIGEON)
    shop.settings(PLUGINS={"senders": [{"URI": "shop.parts.pigeon.Pigeon", "OPTS": {"loft": "Rome"}}]})
    with shop.client():
        assert get_plugins("senders")["shop.parts.pigeon.Pigeon"].send("Rome", "hello") is True


@pytest.mark.parametrize(("opts", "seen"), [({}, ["/echo"]), ({"active": True}, ["/echo"]), ({"active": False}, [])])
@PAGE.sample("7. Provide Plugin Examples")
def test_a_class_with_configure_and_process_is_called_for_each_request(
    shop: Project, opts: dict[str, Any], seen: list[str]
) -> None:
    shop.plugin(
        "shop/steps/counting.py",
        """
        seen = []

        class Counting:
            def __init__(self):
                self.options = {"active": True}

            def configure(self, **kwargs):
                self.options |= kwargs
                return self

            def process(self, request):
                if self.options["active"]:
                    seen.append(request.path)
                return request
        """,
    )
    shop.settings(PLUGINS={"middleware": [{"URI": "shop.steps.counting.Counting", "OPTS": opts}]})
    with shop.client() as client:
        assert client.get("/echo").json() == "echo"
        assert sys.modules["shop.steps.counting"].seen == seen


@pytest.mark.parametrize("package", ["redis", "not_installed_anywhere"])
@PAGE.sample("8. Document Plugin Dependencies")
def test_a_plugin_says_which_package_it_needs(shop: Project, package: str) -> None:
    advice = f"add {package} to your requirements"
    shop.plugin("needy.py", f"try:\n    import {package}\nexcept ImportError:\n    raise ImportError({advice!r})")
    if package == "redis":
        with shop.client() as client:
            assert client.get("/echo").json() == "echo"
    else:
        with pytest.raises(PluginImportError, match=f"plugin 'needy' does not import: ImportError: {advice}"):
            shop.prepare()


# The complete example

TURNSTILE = """
from collections import Counter

class Turnstile:
    def __init__(self):
        self.passed = Counter()
        self.at_most = 10

    def configure(self, at_most=10, pause=60):
        self.at_most, self.pause = at_most, pause
        return self

    def who(self, request) -> str:
        return request.headers.get("X-Badge", request.remote_addr)

    def lets_pass(self, request) -> bool:
        self.passed[self.who(request)] += 1
        return self.left(request) >= 0

    def left(self, request) -> int:
        return self.at_most - self.passed[self.who(request)]
"""
TURNSTILE_URI = "shop.parts.turnstile.Turnstile"
TURNSTILE_SETTINGS = f"""
TURNSTILE = {{"at_most": 2, "pause": 30}}
PLUGINS = {{"middleware": ["{TURNSTILE_URI}"]}}
"""
MAIN = f"""{START}
turnstile = framework.plugins["middleware"]["{TURNSTILE_URI}"]()
turnstile.configure(**framework.config.settings.TURNSTILE)

def answer(request):
    if turnstile.lets_pass(request):
        return "welcome", 200, {{"X-Left": str(turnstile.left(request))}}
    return "closed", 429
"""


@PAGE.sample("Complete Plugin Example: Plugin Implementation")
@PAGE.sample("Complete Plugin Example: Configuration")
@PAGE.sample("Complete Plugin Example: Usage in Application")
def test_a_program_that_limits_its_requests(shop: Project) -> None:
    shop.plugin("shop/parts/turnstile.py", TURNSTILE)
    settings(shop, "settings.py", TURNSTILE_SETTINGS)
    answer = run(MAIN)["answer"]
    ada = SimpleNamespace(headers={"X-Badge": "ada"}, remote_addr="127.0.0.1")
    bea = SimpleNamespace(headers={}, remote_addr="127.0.0.1")
    assert answer(ada) == ("welcome", 200, {"X-Left": "1"})
    assert answer(ada) == ("welcome", 200, {"X-Left": "0"})
    assert answer(ada) == ("closed", 429)
    assert answer(bea) == ("welcome", 200, {"X-Left": "1"})


@PAGE.sample("Complete Plugin Example: Usage in Application")
def test_the_program_runs_as_a_process_of_its_own(shop: Project) -> None:
    shop.plugin("shop/parts/turnstile.py", TURNSTILE)
    settings(shop, "settings.py", TURNSTILE_SETTINGS)
    shop.plugin("main.py", f"{MAIN}\nprint(turnstile.pause)", folder=".")
    done = subprocess.run([sys.executable, "main.py"], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "30\n"


@PAGE.sample("Complete Plugin Example: Plugin Implementation")
def test_the_same_limiter_in_a_served_application(shop: Project) -> None:
    shop.plugin("shop/parts/turnstile.py", TURNSTILE)
    shop.plugin(
        "limited.py",
        """
        from fastapi import HTTPException
        from opa import get_plugins

        def limited(request):
            for turnstile in get_plugins("limits").values():
                if not turnstile.lets_pass(request):
                    raise HTTPException(429, "closed")
        """,
    )
    limits = [{"URI": TURNSTILE_URI, "OPTS": {"at_most": 2}}]
    shop.settings(PLUGINS={"middleware": ["limited.limited"], "limits": limits})
    with shop.client() as client:
        assert [client.get("/echo").status_code for _ in range(3)] == [200, 200, 429]
        assert client.get("/echo", headers={"X-Badge": "another"}).status_code == 200


@PAGE.sample("Complete Plugin Example: Configuration")
def test_a_served_application_says_that_such_a_class_is_no_middleware(shop: Project) -> None:
    shop.plugin("shop/parts/turnstile.py", TURNSTILE)
    settings(shop, "settings.py", TURNSTILE_SETTINGS)
    with pytest.raises(GroupError, match=rf"'{TURNSTILE_URI}' in the group middleware .* a group of another name"):
        shop.app()
