from __future__ import annotations

from pathlib import Path

import pytest

from opa.core.errors import SettingsError
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
    (folder.path / "a.yaml").mkdir()

    assert folder.load().PORT == 8000


@pytest.mark.parametrize(
    ("text", "problem", "where"),
    [
        ("default:\n  PORT: [1", "expected ',' or ']', but got '<stream end>'", "a.yaml:2"),
        ("default:\n\tPORT: 1", "found character '\\t' that cannot start any token", "a.yaml:2"),
        ("default:\n  PORT: 1\n  PORT: 2", 'the key "PORT" is there twice', "a.yaml:3"),
        ("default: {}\n---\ndefault: {}", "but found another document", "a.yaml:2"),
        ("default:\n  PORT: \x01", "a control character", "a.yaml:2"),
        ("default:\n  X: !secret a", "could not determine a constructor for the tag '!secret'", "a.yaml:2"),
        ('{"default": {\n"PORT": }}', "Expecting value", "a.json:2"),
        ("[default]\nPORT = \n", "Invalid value", "a.toml:2"),
        ("[default]\nPORT = [1,\n2", "Unclosed array", "a.toml:3"),
        ("[default]\nnonsense\n", "not valid INI", "a.ini:2"),
        ("[default]\nA = 1\n[[[B]]]\n[", "not valid INI", "a.ini:3"),
        ("PORT = 1\nHOST = (\n", "'(' was never closed", "a.py:2"),
        ("PORT = 1\nHOST = 1 / 0", "ZeroDivisionError: division by zero", "a.py:2"),
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
    ],
)
def test_no_error_shows_a_secret(folder: SettingsFolder, name: str, text: str) -> None:
    folder.file(name, text)

    with pytest.raises(SettingsError) as raised:
        folder.load()

    assert "hunter2" not in f"{raised.value}{raised.value.mistakes}"


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
