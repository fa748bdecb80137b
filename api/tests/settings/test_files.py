from __future__ import annotations

import json
from pathlib import Path

import pytest

from opa.errors import SettingsError
from tests.settings_folder import SettingsFolder

FILES = {
    "a.yaml": """
        default:
          project_name: Shop
          PORT: 81
          DEBUG: true
          WORKERS: null
          ALLOW_ORIGINS: [https://a, https://b]
          OPTIONAL_COMPONENTS: {MINE: {DRIVER: "x", OPTS: {URL: "redis://x"}}}
        """,
    "a.json": """
        {"default": {"project_name": "Shop", "PORT": 81, "DEBUG": true, "WORKERS": null,
         "ALLOW_ORIGINS": ["https://a", "https://b"],
         "OPTIONAL_COMPONENTS": {"MINE": {"DRIVER": "x", "OPTS": {"URL": "redis://x"}}}}}
        """,
    "a.toml": """
        [default]
        project_name = "Shop"
        PORT = 81
        DEBUG = true
        WORKERS = "@none"
        ALLOW_ORIGINS = ["https://a", "https://b"]
        [default.OPTIONAL_COMPONENTS.MINE]
        DRIVER = "x"
        OPTS = {URL = "redis://x"}
        """,
    "a.ini": """
        [default]
        project_name = Shop
        PORT = 81
        DEBUG = true
        WORKERS = "@none"
        ALLOW_ORIGINS = https://a, https://b
        [[OPTIONAL_COMPONENTS]]
        [[[MINE]]]
        DRIVER = x
        [[[[OPTS]]]]
        URL = redis://x
        """,
    "a.py": """
        import os
        from pathlib import Path

        not_a_setting = 1
        PROJECT_NAME = "Shop"
        PORT = 80 + 1
        DEBUG = True
        WORKERS = None
        ALLOW_ORIGINS = ("https://a", "https://b")
        OPTIONAL_COMPONENTS = {"MINE": {"DRIVER": "x", "OPTS": {"URL": "redis://x"}}}
        """,
}
FILES["a.yml"] = FILES["a.yaml"]
FILES["a.YAML"] = FILES["a.yaml"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SettingsFolder:
    return SettingsFolder(tmp_path, monkeypatch)


@pytest.mark.parametrize("name", FILES)
def test_every_format_says_the_same(folder: SettingsFolder, name: str) -> None:
    folder.file(name, FILES[name])

    config = folder.load()

    assert (config.PROJECT_NAME, config.PORT, config.DEBUG, config.WORKERS) == ("Shop", 81, True, None)
    assert config.ALLOW_ORIGINS == ["https://a", "https://b"]
    assert config.OPTIONAL_COMPONENTS == {"MINE": {"LOAD": "auto", "DRIVER": "x", "OPTS": {"URL": "redis://x"}}}


@pytest.mark.parametrize("name", FILES)
def test_every_format_is_named_as_the_source(folder: SettingsFolder, name: str) -> None:
    file = folder.file(name, FILES[name])

    section = "" if name == "a.py" else " [default]"
    assert folder.load().source("PORT") == f"{file}{section}"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.yaml", "default: {X: 1}\nmine: {X: 2}\nother: {X: 3}"),
        ("a.json", '{"default": {"X": 1}, "mine": {"X": 2}, "other": {"X": 3}}'),
        ("a.toml", "[default]\nX = 1\n[mine]\nX = 2\n[other]\nX = 3"),
        ("a.ini", "[default]\nX = @int 1\n[mine]\nX = @int 2\n[other]\nX = @int 3"),
    ],
)
def test_every_format_has_sections(folder: SettingsFolder, name: str, text: str) -> None:
    folder.file(name, text)
    folder.variables(ENV="mine")

    assert folder.load().X == 2


def test_a_python_file_applies_in_every_env(folder: SettingsFolder) -> None:
    folder.file("a.py", "X = 1")
    folder.variables(ENV="mine")

    assert folder.load().X == 1


@pytest.mark.parametrize("name", ["a.yaml", "a.json", "a.toml", "a.ini", "a.py"])
@pytest.mark.parametrize("text", ["", "\n\n"])
def test_an_empty_file_says_nothing(folder: SettingsFolder, name: str, text: str) -> None:
    folder.file(name, text)

    assert folder.load().PORT == 8000


@pytest.mark.parametrize("text", ["# nothing yet", "---", "default:", "default: {}", "mine:\ndefault:\n  # PORT: 1"])
def test_an_empty_section_says_nothing(folder: SettingsFolder, text: str) -> None:
    folder.file("a.yaml", text)

    assert folder.load().PORT == 8000


@pytest.mark.parametrize("name", FILES)
def test_a_byte_order_mark_is_no_mistake(folder: SettingsFolder, name: str) -> None:
    file = folder.file(name, FILES[name])
    file.write_text(file.read_text(), "utf-8-sig")

    assert folder.load().PORT == 81


@pytest.mark.parametrize("name", [".hidden.yaml", "a.yaml.bak", "README.md", "a.txt", "yaml"])
def test_other_files_are_not_read(folder: SettingsFolder, name: str) -> None:
    folder.file(name, "default: [")

    assert folder.load().PORT == 8000


def test_a_folder_with_the_name_of_a_settings_file_is_not_read(folder: SettingsFolder) -> None:
    folder.path.joinpath("a.yaml").mkdir()
    folder.path.joinpath("a.yaml", "README").touch()

    assert folder.load().PORT == 8000


def test_an_empty_folder_in_the_place_of_a_settings_file_is_a_mistake(folder: SettingsFolder) -> None:
    (folder.path / "a.yaml").mkdir()

    assert "settings file is an empty folder, as Docker makes one" in folder.mistakes()[0]


@pytest.mark.parametrize(
    ("text", "problem", "where"),
    [
        ("default:\n  PORT: [1", "expected ',' or ']', but got '<stream end>'", "a.yaml:2"),
        ("default:\n\tPORT: 1", "found character '\\t' that cannot start any token", "a.yaml:2"),
        ("default:\n  PORT: 1\n  PORT: 2", 'the key "PORT" is there twice', "a.yaml:3"),
        ("default: {}\n---\ndefault: {}", "but found another document", "a.yaml:2"),
        ("default:\n  PORT: \x01", "a control character", "a.yaml:2"),
        (
            "default:\n  X: !secret a",
            "a tag (!) that is not known; put a text that begins with ! in quotes",
            "a.yaml:2",
        ),
        ("default:\n  X: *a", "an alias (*) without an anchor; put a text that begins with * in quotes", "a.yaml:2"),
        ("default:\n  X: @a", "found character '@' that cannot start any token", "a.yaml:2"),
        ('{"default": {\n"PORT": }}', "Expecting value", "a.json:2"),
        ("[default]\nPORT = \n", "Invalid value", "a.toml:2"),
        ("[default]\nPORT = [1,\n2", "Unclosed array", "a.toml:3"),
        ("[default]\nnonsense\n", "not valid INI", "a.ini:2"),
        ("[default]\nA = 1\n[[[B]]]\n[", "not valid INI", "a.ini:3"),
        ("PORT = 1\nHOST = (\n", "'(' was never closed", "a.py:2"),
        ("PORT = 1\nHOST = 1 / 0", "ZeroDivisionError: division by zero", "a.py:2"),
        ("PORT = 1\nNOTE = missing", "NameError: name 'missing' is not defined", "a.py:2"),
        ("import os\nMY_TOKEN = os.environ['NO_TOKEN']", "KeyError: 'NO_TOKEN'", "a.py:2"),
        (
            "MINE = {\n'url': '',\n'password': int('a'),\n}",
            "ValueError, in what makes the value of a secret",
            "a.py:3",
        ),
        ("def f(name, name):\n    pass", "duplicate argument … in function definition", "a.py:1"),
        ("import nosuchmodule", "ModuleNotFoundError: No module named 'nosuchmodule'", "a.py:1"),
        ("def f():\n    raise OSError(2, 'gone')\n\nf()", "FileNotFoundError: [Errno 2] gone", "a.py:2"),
    ],
)
def test_a_file_that_does_not_parse_is_a_mistake_with_its_line(
    folder: SettingsFolder, text: str, problem: str, where: str
) -> None:
    folder.file(where.partition(":")[0], text)

    assert folder.mistakes() == [f"settings file does not parse: {problem} ({where})"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.yaml", "default:\n  SECRET_KEY: hunter2\n  SECRET_KEY: hunter2"),
        ("a.yaml", "default:\n  SECRET_KEY: hunter2: x"),
        ("a.yaml", "SECRET_KEY=hunter2\ndefault: x"),
        ("a.json", '{"default": {"SECRET_KEY": hunter2}}'),
        ("a.toml", "[default]\nSECRET_KEY = hunter2"),
        ("a.ini", "[default]\nSECRET_KEY hunter2"),
        ("a.ini", "[default]\nSECRET_KEY = 'hunter2\nX = hunter2'"),
        ("a.py", "SECRET_KEY = 'hunter2"),
        ("a.py", "raise ValueError('redis://:hunter2@host')"),
        ("a.yaml", "default: {SECRET_KEY: [hunter2]}"),
        ("a.yaml", "default: {SECRET_KEY: '@int hunter2'}"),
        ("a.yaml", "default: {SECRET_KEY: '@format {hunter2'}"),
        ("a.yaml", "default: {MINE: {PASSWORD: '@json hunter2'}}"),
        ("a.yaml", "default: {MINE: {PASSWORD: '@int hunter2'}}"),
        ("a.yaml", 'default: {OPTIONAL_COMPONENTS: \'{"A": {"OPTS": {"PASSWORD": "hunter2"}}}\'}'),
        ("a.yaml", "default: {OPTIONAL_COMPONENTS: {A: {DRIVER: x, OPTS: 'PASSWORD hunter2'}}}"),
        ("a.yaml", "default: {OPTIONAL_COMPONENTS: {A: {OPTS: {PASSWORD: hunter2}}}}"),
        ("a.yaml", "default: {PROJECT_NAME: ['redis://:hunter2@host']}"),
        ("a.yaml", "default:\n  DB_PASSWORD: *hunter2"),
        ("a.yaml", "default:\n  DB_PASSWORD: !hunter2 x"),
        ("a.yaml", "default:\n  DB_PASSWORD: !x!hunter2 x"),
        ("a.yaml", "default:\n  DB_PASSWORD: !!hunter2 x"),
        ("a.yaml", "default:\n  DB_PASSWORD: !!timestamp hunter2"),
        ("a.yaml", "default:\n  DB_PASSWORD: &hunter2 [*hunter2]"),
        ("a.yaml", "default:\n  DB_PASSWORD: @hunter2"),
        ("a.yaml", "default:\n  DB_PASSWORD: %hunter2"),
        ("a.yaml", 'default:\n  DB_PASSWORD: "\\hunter2"'),
        ("a.json", '{"default": {"DB_PASSWORD": "\\hunter2"}}'),
        ("a.toml", "[default]\nDB_PASSWORD = '''hunter2'"),
        ("a.toml", '[default]\nDB_PASSWORD = "\\hunter2"'),
        ("a.toml", "[default]\nDB_PASSWORD = {hunter2 = 1, hunter2 = 2}"),
        ("a.toml", "[hunter2]\n[hunter2]"),
        ("a.ini", "[default]\nDB_PASSWORD = a%(hunter2)s"),
        ("a.py", "DB_PASSWORD = hunter2"),
        ("a.py", "DB_PASSWORD = int('hunter2')"),
        ("a.py", "X = {'mine': {'password': float('hunter2')}}"),
        ("a.py", "X = dict(\n  password=float('hunter2'))"),
        ("a.py", "X = {}\nX['password']: str = hunter2"),
        ("a.py", "DB_PASSWORD = 'hunter2' if x else {'a': 1}['hunter2']"),
        ("a.py", "DB_PASSWORD = hunter2\ndef hunter2(hunter2, hunter2): pass"),
        ("a.py", "def f(hunter2):\n  global hunter2"),
    ],
)
def test_no_error_shows_a_secret(folder: SettingsFolder, name: str, text: str) -> None:
    folder.file(name, text)

    with pytest.raises(SettingsError) as raised:
        folder.load()

    assert "hunter2" not in f"{raised.value}{raised.value.mistakes}"


CASTERS = ["int", "float", "bool", "json", "format", "jinja", "merge", "insert", "merge_unique", "get", "del"]
CASTERS += [
    "reset",
    "none",
    "note",
    "comment",
    "empty",
    "Path",
    "path",
    "casefold",
    "int @format",
    "json @jinja",
    "merge @int",
]


@pytest.mark.parametrize("caster", CASTERS)
@pytest.mark.parametrize(
    "value", ["hunter2", "{hunter2", "{{hunter2", "{{ hunter2 }}", "[hunter2", "'hunter2", "0 hunter2"]
)
def test_no_caster_of_dynaconf_shows_a_secret(
    folder: SettingsFolder, caplog: pytest.LogCaptureFixture, caster: str, value: str
) -> None:
    text = f"@{caster} {value}"
    folder.file(
        "a.json", json.dumps({"default": {"PASSWORD": text, "MINE": {"PASSWORD": text, "LIST": [{"TOKEN": text}]}}})
    )
    folder.variables(OPA_DB_PASSWORD=text, OPA_DB__PASSWORD=text)
    told = ""
    try:
        folder.load()
    except SettingsError as error:
        told = f"{error}{error.mistakes}"
    assert "hunter2" not in told + caplog.text


@pytest.mark.parametrize(("name", "text"), [("0451773", "451773"), ("on", '"on"')])
def test_no_warning_shows_a_secret(
    folder: SettingsFolder, caplog: pytest.LogCaptureFixture, name: str, text: str
) -> None:
    folder.file("a.yaml", f"default:\n  DB_PASSWORD: {name}\n  MINE: {{TOKENS: [{name}]}}\n")
    folder.load()
    assert "DB_PASSWORD: is a secret that may be read as a number or a switch; write it in quotes" in caplog.text
    assert "MINE.TOKENS: is a secret" in caplog.text
    assert text not in caplog.text


@pytest.mark.parametrize(
    ("name", "text", "kind"),
    [
        ("a.yaml", "- default", "list"),
        ("a.yaml", "PORT", "str"),
        ("a.json", "[]", "list"),
        ("a.json", "1", "int"),
    ],
)
def test_a_file_that_is_no_mapping_is_a_mistake(folder: SettingsFolder, name: str, text: str, kind: str) -> None:
    folder.file(name, text)

    assert folder.mistakes() == [f"settings file has a {kind} at its top level instead of sections ({name})"]


@pytest.mark.parametrize("text", ["PORT: 1", "default: {}\nport: {}", "MINE: [1]"])
def test_a_setting_outside_of_all_sections_is_a_mistake(folder: SettingsFolder, text: str) -> None:
    folder.file("a.yaml", text)

    name = text.splitlines()[-1].partition(":")[0]
    assert folder.mistakes() == [f"{name}: is outside of any section, put it under `default` or an env (a.yaml)"]


def test_a_section_that_is_there_twice_is_a_mistake(folder: SettingsFolder) -> None:
    folder.file("a.yaml", "default: {X: 1}\nDefault: {X: 2}")

    assert folder.mistakes() == ["Default: the section is there twice, upper and lower case are the same (a.yaml)"]


def test_a_file_that_is_not_utf_8_is_a_mistake(folder: SettingsFolder) -> None:
    (folder.path / "a.yaml").write_bytes(b"default: {PROJECT_NAME: \xe4}")

    assert folder.mistakes() == ["settings file is not UTF-8 text, in line 1 (a.yaml)"]


def test_a_file_that_cannot_be_read_is_a_mistake(folder: SettingsFolder) -> None:
    (folder.path / "a.yaml").symlink_to(folder.path / "gone")

    assert folder.mistakes() == ["settings file cannot be read: No such file or directory (a.yaml)"]


def test_all_files_that_do_not_parse_are_reported_at_once_and_wrong_values_of_others_too(
    folder: SettingsFolder,
) -> None:
    folder.file("a.json", "{")
    folder.file("b.json", "[")
    folder.file("c.yaml", "default: {PORT: x}")

    assert folder.mistakes() == [
        "settings file does not parse: Expecting property name enclosed in double quotes (a.json:1)",
        "settings file does not parse: Expecting value (b.json:1)",
        'PORT: is "x", should be a whole number (c.yaml [default])',
    ]


def test_includes_are_refused_since_all_files_are_read(folder: SettingsFolder) -> None:
    folder.file("a.yaml", "default: {dynaconf_include: [b.yaml]}")

    assert folder.mistakes() == [
        "DYNACONF_INCLUDE: is not supported, every file in the settings folder is read anyway (a.yaml [default])"
    ]


# Python files


def test_python_file_may_have_what_any_module_has(folder: SettingsFolder) -> None:
    folder.file(
        "a.py",
        """
        from __future__ import annotations
        import enum, os.path as OS, re, typing
        import xml.etree.ElementTree as ET
        from collections import namedtuple
        from dataclasses import dataclass, field
        from pydantic import BaseModel

        class Color(enum.Enum):
            RED = "red"

        @dataclass(slots=True)
        class Smtp:
            host: str = "mail"
            ports: list[int] = field(default_factory=lambda: [N for N in (25, 465)])

        class Limits(BaseModel):
            color: Color = Color.RED
            smtp: typing.Optional[Smtp] = None

        class Point(typing.NamedTuple):
            x: int = 1

        def url(host: str) -> str:
            return f"https://{host}"

        T = typing.TypeVar("T")
        HINTS = sorted(typing.get_type_hints(Smtp))
        SMTP = {"host": Smtp().host, "ports": Smtp().ports}
        LIMITS = Limits(smtp=Smtp()).model_dump(mode="json")
        SITES = {name: url(name) for name in ("a", "b")}
        POINT = Point()
        HERE = os.path.dirname(__file__) if (os := __import__("os")) else ""
        RX = re.compile("x")
        """,
    )

    config = folder.load()

    assert config.SMTP == {"host": "mail", "ports": [25, 465]}
    assert config.LIMITS.smtp.host == "mail"
    assert config.SITES == {"a": "https://a", "b": "https://b"}
    assert config.HINTS == ["host", "ports"]
    assert str(folder.path) == config.HERE
    assert "ET" not in config
    assert "OS" not in config


@pytest.mark.parametrize("statement", ["from logging import DEBUG, INFO", "from logging import *", "import logging"])
def test_an_import_of_the_standard_library_in_a_python_file_is_no_setting(
    folder: SettingsFolder, statement: str
) -> None:
    folder.file("a.py", f"{statement}\nfrom datetime import UTC as PORT\nfrom uuid import UUID\nMINE = 1")

    config = folder.load()

    assert (config.DEBUG, config.PORT, config.MINE) == (False, 8000, 1)
    assert "UUID" not in config
    assert "INFO" not in config


def test_an_imported_name_that_the_file_sets_is_a_setting(folder: SettingsFolder) -> None:
    folder.file("a.py", "from logging import DEBUG\nDEBUG = True")

    assert folder.load().DEBUG is True


def test_paths_enums_tuples_sets_and_time_spans_stand_for_plain_values(folder: SettingsFolder) -> None:
    folder.file(
        "a.py",
        """
        from datetime import timedelta
        from enum import Enum
        from pathlib import Path

        class Level(Enum):
            LOUD = "debug"

        LOGLEVEL = Level.LOUD
        PLUGIN_PATHS = [Path(__file__).parent.parent / "plugins"]
        ALLOW_METHODS = {"GET", "POST"}
        PLUGIN_BLACKLIST_LIST = (Path("/plugins/a"),)
        REQUEST_TIMEOUT = timedelta(minutes=2)
        PLUGIN_OPTIONS = {"a": {"FAILURE": "skip", "READY_TIMEOUT": timedelta(seconds=3)}}
        OWN = Path("/srv")
        """,
    )

    config = folder.load()

    assert config.LOGLEVEL == "debug"
    assert [str(folder.path.parent / "plugins")] == config.PLUGIN_PATHS
    assert config.ALLOW_METHODS == ["GET", "POST"]
    assert config.PLUGIN_BLACKLIST_LIST == ["/plugins/a"]
    assert config.REQUEST_TIMEOUT == 120
    assert config.PLUGIN_OPTIONS.a.READY_TIMEOUT == 3
    assert Path("/srv") == config.OWN


def test_python_file_imports_from_its_neighbours_as_they_are_now(folder: SettingsFolder) -> None:
    (folder.path / "parts").mkdir()
    folder.file("parts/mail.py", "HOST_OF_MAIL = 'mail'")
    folder.file("z_base.py", "A = 1\nB = 1")
    folder.file("a.py", "from .z_base import *\nfrom .parts.mail import HOST_OF_MAIL\nC = A + 1")
    assert (folder.load().C, folder.load().HOST_OF_MAIL) == (2, "mail")

    folder.file("z_base.py", "A = 10_000\nB = 1")

    assert folder.load().C == 10_001
