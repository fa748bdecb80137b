"""Files and variables that are read at start: whatever is in them, the start ends with one line, and soon."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from opa._util.import_strings import UriError, resolve
from opa._util.reading import MAX_FILE_BYTES
from opa.bootstrap import prepare
from opa.errors import FilterError, MetadataError, OpaError, PluginPathError, SettingsError, StartError
from opa.loading import filters
from opa.loading.discover import find_plugins
from opa.loading.filters import PluginFilters, decide
from opa.loading.metadata import read_metadata
from opa.loading.order import unmet
from opa.local import run as up
from opa.local.environment import plugin_settings
from opa.settings import files as settings_files
from opa.settings import load as settings_module
from opa.settings.files import read_sections
from opa.settings.inherited import handing_variable
from tests import programs
from tests.project import Project
from tests.settings_folder import SettingsFolder

BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{new}: &{new} [{','.join([f'*{old}'] * 9)}]\n" for old, new in zip("abcdefghi", "bcdefghij", strict=True)
)
MERGE_BOMB = "a: &a {x: 1}\n" + "".join(
    f"{new}: &{new} {{<<: [{','.join([f'*{old}'] * 9)}]}}\n" for old, new in zip("abcdefghi", "bcdefghij", strict=True)
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SettingsFolder:
    # A busy machine may need longer than the limits for what ends by itself.
    for module in (settings_files, settings_module):
        monkeypatch.setattr(module, "TIME_LIMIT", 150.0)
    return SettingsFolder(tmp_path, monkeypatch)


def deep(opening: str, closing: str, depth: int, inner: str = "") -> str:
    return opening * depth + inner + closing * depth


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("a.yaml", BOMB, "more than 100000 values, each alias counted"),
        ("a.yaml", MERGE_BOMB, "more than 100000 values, each alias counted"),
        ("a.yaml", "default: &a\n  x: *a\n", "an alias (*) contains itself"),
        ("a.yaml", "default: {x: " + deep("[", "]", 60) + "}", "more than 50 levels"),
        ("a.yaml", "default: {x: " + deep("[", "]", 1000) + "}", "more than 50 levels"),
        ("a.yaml", "default: {x: " + "9" * 5000 + "}", "a number has too many digits"),
        ("a.yaml", "default: {x: 2020-99-99}", "ValueError while it was read"),
        ("a.yaml", "default: {x: !!python/object/apply:os.system [ls]}", "a tag (!) that is not known"),
        ("a.yaml", "default: {x: \0}", "a control character"),
        ("a.json", '{"default": {"x": ' + deep("[", "]", 100_000) + "}}", "more than 50 levels"),
        ("a.json", '{"default": {"x": ' + deep("[", "]", 700) + "}}", "more than 50 levels"),
        ("a.json", '{"default": {"x": ' + "9" * 5000 + "}}", "a number has too many digits"),
        ("a.toml", "default.x = " + deep("[", "]", 100_000), "more than 50 levels"),
        ("a.toml", "default." + "x." * 5000 + "y = 1", "more than 50 levels"),
        ("a.toml", "[default]\nx = " + "9" * 5000, "a number has too many digits"),
        ("a.ini", "".join("[" * level + "x" + "]" * level + "\n" for level in range(1, 400)), "more than 50 levels"),
        ("a.ini", "[default]\nx = %(x)s\n", "does not parse"),
        ("a.py", "import sys\nsys.exit(3)\n", "it calls sys.exit(3)"),
        ("a.py", "X = " + deep("(", ")", 10_000), "does not parse"),
        ("a.py", "X = []\nX.append(X)\n", "more than 50 levels"),
        ("a.py", "X = 1\0", "does not parse"),
    ],
)
def test_a_file_that_is_a_bomb_is_one_line(folder: SettingsFolder, name: str, content: str, problem: str) -> None:
    folder.file(name, content)
    (mistake,) = folder.mistakes()
    assert problem in mistake
    assert name in mistake
    assert "\n" not in mistake
    assert len(mistake) < 500


def test_a_pipe_a_device_and_a_link_to_itself_are_no_files(folder: SettingsFolder) -> None:
    os.mkfifo(folder.path / "a.yaml")
    (folder.path / "b.yaml").symlink_to("/dev/zero")
    (folder.path / "c.yaml").symlink_to(folder.path / "c.yaml")
    assert folder.mistakes() == [
        "settings file is not a regular file (a.yaml)",
        "settings file is not a regular file (b.yaml)",
        "settings file cannot be read: Too many levels of symbolic links (c.yaml)",
    ]


def test_a_huge_file_is_not_read(folder: SettingsFolder) -> None:
    with (folder.path / "a.yaml").open("wb") as file:
        file.truncate(100 * MAX_FILE_BYTES)
    assert folder.mistakes() == ["settings file is larger than 10 MB (a.yaml)"]


def test_a_file_that_takes_too_long_is_given_up(folder: SettingsFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings_files, "TIME_LIMIT", 0.3)
    folder.file("a.py", "while True: pass\n")
    folder.file("b.py", "import re\nre.match('(a+)+$', 'a' * 50 + 'b')\n")
    assert folder.mistakes() == [
        "settings file takes longer than 0.3 s to read (a.py)",
        "settings file takes longer than 0.3 s to read (b.py)",
    ]


def test_an_endless_template_is_given_up(folder: SettingsFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("jinja2")
    monkeypatch.setattr(settings_module, "TIME_LIMIT", 1.0)
    loops = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"
    folder.variables(OPA_MINE=f"@jinja {loops}")
    (mistake,) = folder.mistakes()
    assert mistake == ("MINE: putting the settings together takes longer than 1 s (environment variable OPA_MINE)")


@pytest.mark.parametrize(
    "text",
    [
        "@json " + deep("[", "]", 60),
        "@json " + deep("[", "]", 20_000),
        deep("[", "]", 20_000),
        '@merge {"a": ' + deep("[", "]", 20_000) + "}",
        "@json " + "9" * 5000,
        "@int " + "9" * 5000,
        "@float x",
        "@format {this.nowhere}",
        "@format {",
        "@format {0.__class__}",
        "@jinja {{ 1 / 0 }}",
        "@read_file /nowhere",
        "@json {",
        "@",
        "@nothing x",
    ],
)
def test_a_variable_is_taken_or_refused_in_one_line(folder: SettingsFolder, text: str) -> None:
    folder.variables(OPA_MINE=text)
    try:
        folder.load()
    except SettingsError as error:
        assert [mistake.startswith("MINE: ") for mistake in error.mistakes] == [True]  # noqa: PT017 - both ends are right
        assert len(error.mistakes[0]) < 700  # noqa: PT017 - both ends are right


def test_a_name_that_leads_too_deep_is_refused_in_one_line(folder: SettingsFolder) -> None:
    folder.variables(**{"OPA_MINE" + "__A" * 5000: "1"})
    (mistake,) = folder.mistakes()
    assert "more than 50 levels" in mistake


def write(tmp_path: Path, name: str, content: str | bytes) -> Path:
    file = tmp_path / name
    file.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass"))
    return file


@pytest.mark.parametrize(
    ("suffix", "content"), [(".yaml", b"\xff\xfe"), (".ini", "a = '''"), (".toml", "a = 99999-99-99")]
)
def test_a_file_that_a_parser_stumbles_over_is_refused_in_one_line(
    tmp_path: Path, suffix: str, content: str | bytes
) -> None:
    file = write(tmp_path, f"fuzz{suffix}", content)
    with pytest.raises(SettingsError) as caught:
        read_sections(file)
    assert str(file) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "data",
    [
        {"version": "1" * 5000},
        {"version": "1" * 900},
        {"requires": ["a" + ">=1," * 900]},
        {"packages": ["a; " + "(" * 900]},
        {"packages": ["pip; python_version > 'x'"]},
        {"packages": ["pip; extra == 'x'"]},
        {"packages": ["pip>=" + "9" * 900]},
    ],
    ids=lambda data: str(data)[:40],
)
def test_metadata_of_versions_that_nobody_has_is_read_or_refused(tmp_path: Path, data: Any) -> None:
    folder = tmp_path / "fuzzed"
    folder.mkdir()
    write(folder, "meta.json", json.dumps(data))
    write(folder, "__init__.py", "")
    try:
        read_metadata(folder)
    except MetadataError as error:
        assert "meta.json" in str(error)  # noqa: PT017 - both ends are right
        return
    for plugin in find_plugins([folder.parent]):
        unmet(plugin, {})


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("pyproject.toml", "tool = 1", "has an int where the table [tool.opa] should be"),
        ("pyproject.toml", "[tool]\nopa = 1", "is an int, not an object"),
        ("pyproject.toml", "x = " + deep("[", "]", 100_000), "more than 50 levels"),
        ("pyproject.toml", "[tool.opa]\nx = " + "9" * 5000, "a number of too many digits"),
        ("meta.json", deep("[", "]", 100_000), "more than 50 levels"),
        ("meta.json", "9" * 5000, "a number of too many digits"),
        ("meta.json", b"\xff", "is not UTF-8 text, in line 1"),
        ("meta.json", '{"version": "' + "1" * 5000 + '"}', "more than 1000 characters"),
        ("meta.json", '{"packages": ["a; ' + "(" * 5000 + '"]}', "more than 1000 characters"),
    ],
)
def test_metadata_that_is_a_bomb_is_one_line(tmp_path: Path, name: str, content: str | bytes, problem: str) -> None:
    write(tmp_path, name, content)
    with pytest.raises(MetadataError) as caught:
        read_metadata(tmp_path)
    assert problem in str(caught.value)
    assert name in str(caught.value)
    assert len(str(caught.value)) < 500


def test_metadata_that_is_a_pipe_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "meta.json")
    with pytest.raises(MetadataError, match="is not a regular file"):
        read_metadata(tmp_path)


@pytest.mark.parametrize("expression", ["a{99999999999}", "(" * 5000 + ")" * 5000, "(?P<a>", "[z-a]", "\\"])
def test_an_expression_that_is_none_is_one_line(project: Project, expression: str) -> None:
    project.plugin("a.py")
    with pytest.raises(FilterError, match="PLUGIN_BLACKLIST_RE .* is not a regular expression") as caught:
        decide(find_plugins([project.plugins]), PluginFilters(blacklist_re=expression))
    assert len(str(caught.value)) < 500
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    "expression",
    ["(a+)+!", "(a|aa)+!", "(.*a){25}!", "(a?){60}a{60}!", "(?=(a+)+!)", "(?P<x>a+)+(?P=x)!", "(?i:(A+))+!"],
)
@pytest.mark.parametrize("setting", ["PLUGIN_WHITELIST_RE", "PLUGIN_BLACKLIST_RE"])
def test_an_expression_that_runs_away_is_given_up(
    project: Project, monkeypatch: pytest.MonkeyPatch, setting: str, expression: str
) -> None:
    monkeypatch.setattr(filters, "TIME_LIMIT", 0.1)
    project.plugin(f"{'a' * 60}.py")
    project.settings(**{setting: f".*/{expression}"})
    with pytest.raises(FilterError, match=rf"{setting} '.*' takes longer than 0.1 s"):
        project.prepare()


def test_an_expression_that_takes_long_to_compile_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filters, "TIME_LIMIT", 0.1)
    with pytest.raises(FilterError, match=r"PLUGIN_WHITELIST_RE '.*' takes longer than 0.1 s"):
        decide((), PluginFilters(whitelist_re="(?i)" + "[\u0100-\U0010ffff]" * 30))


@pytest.mark.parametrize(
    "uri", ["." * 2000, "json" + ".a" * 5000, "json:" + "a." * 5000], ids=["dots", "names", "steps"]
)
def test_a_long_uri_is_refused(uri: str) -> None:
    with pytest.raises(UriError) as caught:
        resolve(uri)
    assert len(str(caught.value)) < 11_000


def cli(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return programs.run([sys.executable, "-m", "opa.cli", *arguments], env={**os.environ, **variables}, timeout=120)


@pytest.mark.parametrize(
    ("variables", "prepare"),
    [
        ({"OPA_PLUGIN_BLACKLIST_RE": "a{99999999999}"}, None),
        ({}, lambda project: (project.plugin("p/__init__.py"), project.plugin("p/pyproject.toml", "tool = 1"))),
        ({}, lambda project: (project.plugin("p/__init__.py"), project.plugin("p/meta.json", "[" * 100_000))),
        ({}, lambda project: project.plugin("b.yaml", BOMB, folder="settings")),
    ],
    ids=["expression", "pyproject", "meta", "bomb"],
)
def test_the_command_prints_one_line_and_no_trace(
    project: Project, variables: dict[str, str], prepare: Callable[[Project], Any] | None
) -> None:
    if prepare:
        prepare(project)
    done = cli("check", **variables)
    assert done.returncode == 1
    assert [line[:6] for line in done.stderr.splitlines()] == ["error:"]


@pytest.fixture
def foreign(project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project of another user, in which root stands, and has named nothing."""
    if os.geteuid() != 0:
        pytest.skip("only root can give a file to another user")
    monkeypatch.delenv("OPA_SETTINGS_DIR")
    if Path("/data/settings").is_dir() or Path("/plugins").is_dir():
        pytest.skip("here are the folders of the image")
    os.chown(project.folder / "settings", 0, 0)
    return project


def test_root_does_not_run_settings_of_another_user_that_happen_to_be_there(foreign: Project) -> None:
    settings_file = foreign.plugin("evil.py", "import pathlib; pathlib.Path('ran').touch()", folder="settings")
    os.chown(settings_file, 12345, 12345)
    with pytest.raises(SettingsError, match="root does not take settings that belong to the user of the number 12345"):
        foreign.config()
    assert not Path("ran").exists()
    os.chown(settings_file, 0, 0)
    os.chown(foreign.folder / "settings", 12345, 12345)
    with pytest.raises(SettingsError, match="OPA_SETTINGS_DIR="):
        foreign.config()
    assert not Path("ran").exists()


def test_a_foreign_settings_file_is_read_where_the_variable_names_its_folder(
    foreign: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings_file = foreign.plugin("mine.py", "MINE = 1", folder="settings")
    os.chown(settings_file, 12345, 12345)
    monkeypatch.setenv("OPA_SETTINGS_DIR", "settings")
    assert foreign.config().MINE == 1
    monkeypatch.delenv("OPA_SETTINGS_DIR")
    os.chown(settings_file, 0, 0)
    assert foreign.config().MINE == 1


def test_root_does_not_run_plugins_of_another_user_that_happen_to_be_there(foreign: Project) -> None:
    plugin = foreign.plugin("evil.py", "import pathlib; pathlib.Path('ran').touch()")
    os.chown(plugin, 12345, 12345)
    foreign.settings(PLUGIN_PATHS=["/plugins"])
    with pytest.raises(PluginPathError, match="root does not run plugins that belong to"):
        foreign.prepare()
    assert not Path("ran").exists()
    foreign.settings(PLUGIN_PATHS=["plugins"])
    foreign.prepare()
    assert Path("ran").exists()


def test_root_does_not_import_what_another_user_has_put_deeper_or_behind_a_link(foreign: Project) -> None:
    foreign.settings(PLUGIN_PATHS=["/plugins"])
    foreign.plugin("shop/__init__.py")
    deeper = foreign.plugin("shop/tasks.py", "import pathlib; pathlib.Path('ran').touch()")
    os.chown(deeper, 12345, 12345)
    with pytest.raises(PluginPathError, match=rf"root does not run plugins that belong to .* \({deeper}\)"):
        foreign.prepare()
    os.chown(deeper, 0, 0)
    foreign.plugins.rename("mine")
    foreign.plugins.symlink_to("mine")
    os.chown(foreign.plugins, 12345, 12345, follow_symlinks=False)
    with pytest.raises(PluginPathError, match=rf"root does not run plugins that belong to .* \({foreign.plugins}\)"):
        foreign.prepare()
    foreign.plugin("base.py", "from .sub import x", folder="settings")
    sub = foreign.plugin("sub/x.py", "import pathlib; pathlib.Path('ran').touch()", folder="settings")
    os.chown(sub, 12345, 12345)
    with pytest.raises(SettingsError, match=rf"root does not take settings that belong to .* \({sub}\)"):
        foreign.config()
    assert not Path("ran").exists()


def test_root_takes_nothing_from_a_folder_in_which_another_user_could_replace_it(foreign: Project) -> None:
    foreign.settings(PLUGIN_PATHS=["/plugins"])
    config = foreign.config()
    os.chown(foreign.folder, 12345, 12345)
    with pytest.raises(PluginPathError, match="root does not run plugins inside of a folder that belongs to the user"):
        prepare(config)
    with pytest.raises(SettingsError, match="root does not take settings inside of a folder that belongs to the user"):
        foreign.config()


def test_paths_that_opa_up_passes_on_do_not_count_as_named_by_the_user(
    foreign: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    plugin = foreign.plugin("evil.py", "import pathlib; pathlib.Path('ran').touch()")
    os.chown(plugin, 12345, 12345)
    (foreign.folder / "settings" / "00-test.json").write_text('{"default": {"LOGLEVEL": "info"}}')
    for name, value in handing_variable("opa up (process 1)", plugin_settings(foreign.folder)).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(PluginPathError, match="root does not run plugins that belong to"):
        foreign.prepare()
    foreign.plugin("more.yaml", "default: {PLUGIN_PATHS: [more, dynaconf_merge]}", folder="settings")
    with pytest.raises(PluginPathError, match="root does not run plugins that belong to"):
        foreign.prepare()
    assert not Path("ran").exists()
    monkeypatch.setenv("OPA_PLUGIN_PATHS", str(foreign.plugins))
    foreign.prepare()
    assert Path("ran").exists()


@pytest.mark.parametrize("name", [".", "plugins", "plugins/evil.py"])
def test_opa_up_of_root_starts_nothing_for_another_user(
    foreign: Project, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    foreign.plugin("evil.py")
    (foreign.folder / "settings" / "00-test.json").write_text('{"default": {"PORT": 0}}')
    config = foreign.config()
    monkeypatch.setattr(up, "locked_folder", lambda project: pytest.fail("it has started"))
    os.chown(foreign.folder / name, 12345, 12345)
    with pytest.raises(PluginPathError, match="root does not run plugins"):
        up.run(config)


def test_opa_up_says_in_one_line_that_the_folder_of_plugins_cannot_be_made(project: Project) -> None:
    (project.folder / "settings" / "00-test.json").write_text('{"default": {"PORT": 0}}')
    project.plugins.rmdir()
    project.plugins.touch()
    with pytest.raises(StartError, match="the folder for plugins cannot be created: File exists"):
        up.run(project.config())


def test_another_user_runs_what_is_there(foreign: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    settings_file = foreign.plugin("mine.py", "MINE = 1", folder="settings")
    os.chown(settings_file, 12345, 12345)
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    assert foreign.config().MINE == 1


def test_every_such_error_is_one_of_ours() -> None:
    assert all(issubclass(error, OpaError) for error in (FilterError, MetadataError, PluginPathError, SettingsError))
