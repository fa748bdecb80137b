from __future__ import annotations

import re
import tempfile
from importlib.metadata import version

import pytest

from opa import __version__
from opa.errors import PackagesError
from opa.packages.folder import lock_of as lock_of_folder
from opa.packages.provide import provide
from tests.packages.deps import deps, needs
from tests.project import Project
from tests.wheels import Wheels


def lock_of(project: Project) -> str:
    return (project.folder / "plugins.lock").read_text()


def test_a_lock_has_a_version_with_hashes_of_each_package_and_says_who_needs_it(
    needing: Project, wheels: Wheels
) -> None:
    wheels.add("ladle", "1.0")
    wheels.add("ladle", "1.2", ["spoon>=2"])
    wheels.add("spoon", "2.5")
    needs(needing, "soup", "ladle>=1", "fastapi>=0.100")
    needing.plugin("stew/__init__.py")
    needing.meta("stew/meta.json", {"packages": ["Spoon"]})
    done = deps()
    assert done.output.splitlines() == [
        "+ ladle 1.2",
        "+ spoon 2.5",
        "plugins.lock is written: 2 packages for 2 plugins",
    ]
    text = lock_of(needing)
    assert re.findall(r"^# (?:need|python).*", text, re.MULTILINE) == [
        "# python: 3.11 or later",
        "# need: Spoon  # stew",
        "# need: fastapi>=0.100  # soup",
        "# need: ladle>=1  # soup",
    ]
    assert re.findall(r"^\S+==\S+", text, re.MULTILINE) == ["ladle==1.2", "spoon==2.5"]
    assert text.count("--hash=sha256:") == 2
    assert "plugin stew" in text
    assert "# via plugin soup" in text


def test_where_nothing_temporary_can_be_written_a_line_says_so(
    needing: Project, wheels: Wheels, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheels.add("ladle", "1.0")
    needs(needing, "soup", "ladle")
    monkeypatch.setattr(tempfile, "tempdir", str(needing.folder / "nowhere"))
    done = deps()
    assert (done.status, "temporary files cannot be written: No such file" in done.output) == (1, True)
    assert "TMPDIR" in done.output


def test_a_lock_has_no_address_and_is_the_same_each_time(
    needing: Project, wheels: Wheels, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheels.add("ladle", "1.0", ["anyio"])
    wheels.add("anyio", version("anyio"))
    needs(needing, "soup", "ladle")
    monkeypatch.setenv("UV_INDEX", "http://cook:pepper@127.0.0.1:9/simple")
    deps()
    first = lock_of(needing)
    (needing.folder / "plugins.lock").unlink()
    deps()
    assert lock_of(needing) == first
    assert not re.search(r"127\.0\.0\.1|pepper|://|/tmp|wheels", first)
    assert deps().output == "plugins.lock is up to date: 1 package for 1 plugin\n"


def test_a_locked_version_stays_until_it_is_upgraded(needing: Project, wheels: Wheels) -> None:
    wheels.add("ladle", "1.0")
    wheels.add("spoon", "1.0")
    needs(needing, "soup", "ladle", "spoon")
    deps()
    wheels.add("ladle", "2.0")
    wheels.add("spoon", "2.0")
    assert "is up to date" in deps().output
    assert "spoon 1.0 -> 2.0\n" in deps("--upgrade-package", "spoon").output
    assert "ladle==1.0" in lock_of(needing)
    assert "ladle 1.0 -> 2.0\n" in deps("--upgrade").output


def test_plugins_that_exclude_each_other_are_named_with_their_ranges_and_nothing_is_written(
    needing: Project, wheels: Wheels
) -> None:
    for each in ("1.0", "2.0"):
        wheels.add("ladle", each)
    wheels.add("pot", "1.0", ["ladle<2"])
    needs(needing, "soup", "ladle>=2")
    needs(needing, "stew", "ladle<2")
    assert deps().output == (
        "error: plugin 'soup' needs ladle>=2 (plugins/soup.py:1) and plugin 'stew' needs ladle<2 (plugins/stew.py:1),"
        " which exclude each other. Change one of them"
    )
    assert not (needing.folder / "plugins.lock").exists()
    needs(needing, "stew", "pot")
    error = deps().output
    assert "plugin 'soup' needs ladle>=2 (plugins/soup.py:1) and plugin 'stew' needs pot (plugins/stew.py:1)" in error
    assert error.endswith("no versions fit together. pot needs ladle<2. Change what one of them asks for")
    assert "opa-plugin-" not in error
    assert not (needing.folder / "plugins.lock").exists()


def test_what_would_change_a_version_that_opa_stack_needs_is_refused_with_the_reason(
    needing: Project, wheels: Wheels
) -> None:
    starlette = version("starlette")
    needs(needing, "old", "starlette<1")
    error = deps().output
    assert "plugin 'old' needs starlette<1 (plugins/old.py:1), and opa-stack needs starlette>=" in error
    assert f"of which {starlette} is installed: it would have to change" in error
    wheels.add("ladle", "1.0", ["starlette<1"])
    wheels.add("starlette", starlette)
    wheels.add("starlette", "0.9")
    needs(needing, "old", "ladle")
    error = deps().output
    assert "plugin 'old' needs ladle (plugins/old.py:1), and opa-stack needs starlette>=" in error
    assert "no versions fit together. ladle needs starlette<1. Use versions" in error
    assert not (needing.folder / "plugins.lock").exists()


def test_a_package_that_does_not_exist_is_named_with_the_plugin(needing: Project, wheels: Wheels) -> None:
    wheels.add("ladle", "1.0", ["forc"])
    needs(needing, "soup", "ladel")
    error = deps().output
    assert "error: there is no package 'ladel', which plugin 'soup' needs" in error
    assert "soup.py:1). Fix its name" in error
    needs(needing, "soup", "ladle")
    assert "there is no package 'forc', which another needed package needs: plugin 'soup' needs ladle" in deps().output
    needs(needing, "soup", "ladle>=7")
    assert "there is no version of ladle>=7, which plugin 'soup' needs; the index has ladle==1.0" in deps().output


def test_an_index_that_does_not_answer_is_one_line_without_its_password(
    needing: Project, wheels: Wheels, monkeypatch: pytest.MonkeyPatch
) -> None:
    needs(needing, "soup", "ladle")
    monkeypatch.delenv("UV_NO_INDEX")
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    monkeypatch.setenv("PIP_INDEX_URL", "http://cook:pepper@127.0.0.1:9/simple")
    assert deps().output == (
        "error: the index cannot be reached. Check the network, and the address of the index if one is set"
        " (UV_DEFAULT_INDEX, PIP_INDEX_URL)"
    )


def test_an_extra_of_opa_stack_is_locked_as_what_it_stands_for(kitchen: Project, wheels: Wheels) -> None:
    needs(kitchen, "soup", "opa-stack[kitchen]>=0.1", "opa-stack")
    assert deps().output.splitlines()[:2] == ["+ ladle 1.2", "+ spoon 2.0"]
    assert re.findall(r"^# need.*", lock_of(kitchen), re.MULTILINE) == [
        "# need: ladle<3,>=1  # soup (opa-stack[kitchen]>=0.1)",
        "# need: spoon  # soup (opa-stack[kitchen]>=0.1)",
    ]
    assert not re.search("^opa-stack", lock_of(kitchen), re.MULTILINE)
    assert "is up to date" in deps().output
    needs(kitchen, "stew", "ladle>=3")
    assert (
        "plugin 'soup' needs ladle<3,>=1 for opa-stack[kitchen]>=0.1 (plugins/soup.py:1) and plugin 'stew' needs"
        in (deps().output)
    )
    needs(kitchen, "stew", "opa-stack")
    needs(kitchen, "soup", "opa-stack[cellar]")
    error = deps().output
    assert "error: plugin 'soup' needs 'opa-stack[cellar]', and opa-stack has no extra 'cellar' (" in error
    assert "soup.py:1). Its extras: kitchen" in error
    needs(kitchen, "soup", "opa-stack>=99")
    assert "plugin 'soup' needs 'opa-stack>=99', and this is opa-stack" in deps().output
    needs(kitchen, "soup", "opa-stack[kitchen]>=99; python_version < '3'")
    assert "+ ladle" not in deps().output
    assert "python_full_version < " not in lock_of(kitchen)


@pytest.mark.parametrize("tool", ["uv", "pip"])
def test_a_package_that_is_made_for_opa_stack_gets_the_one_that_runs(
    kitchen: Project, wheels: Wheels, monkeypatch: pytest.MonkeyPatch, tool: str
) -> None:
    wheels.add("cookbook", "1.0", ["opa-stack[kitchen]>=0.1"])
    wheels.add("opa-stack", "7.0")
    needs(kitchen, "soup", "cookbook")
    monkeypatch.setenv("ENV", "dev")
    if tool == "pip":
        monkeypatch.setattr("opa.packages.programs.find_uv", lambda: None)
    provide(kitchen.config())
    text = lock_of_folder(kitchen.folder / ".opa/packages")
    assert re.findall(r"^\S+==\S+", text, re.MULTILINE) == ["cookbook==1.0", "ladle==1.2", "spoon==2.0"]
    wheels.add("cookbook", "2.0", ["opa-stack>=2"])
    needs(kitchen, "soup", "cookbook>=2")
    with pytest.raises(PackagesError) as caught:
        provide(kitchen.config())
    told = f"plugin 'soup' needs cookbook>=2 (plugins/soup.py:1), and this is opa-stack {__version__}: no versions fit"
    assert told in str(caught.value)


def test_plugins_that_a_filter_skips_count_and_no_plugin_is_imported(needing: Project, wheels: Wheels) -> None:
    wheels.add("ladle", "1.0")
    needs(needing, "soup", "ladle", code="raise SystemExit(7)\n")
    needing.settings(PLUGIN_BLACKLIST_RE=".*soup")
    assert "+ ladle 1.0\n" in deps().output


def test_a_project_without_needs_has_a_lock_that_says_so(needing: Project) -> None:
    needing.plugin("soup.py")
    assert deps().output == "plugins.lock is written: 0 packages for 0 plugins\n"
    assert "# No plugin needs a package." in lock_of(needing)
    assert deps("check").status == 0


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ("--index-url http://127.0.0.1:9", "which is not a requirement"),
        ("-e .", "which is not a requirement"),
        ("./ladle.whl", "which is not a requirement"),
        ("file:///ladle.whl", "which is not a requirement"),
        ("ladle @ file:///ladle.whl", "an address"),
        ("ladle @ https://cook:pepper@127.0.0.1/ladle.whl", "an address"),
        ("ladle; os_name == '\\n--index-url http://127.0.0.1:9'", "more than printable characters"),
    ],
)
def test_what_is_no_requirement_reaches_no_program(
    needing: Project, entry: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("opa.packages.resolve.find_uv", lambda: pytest.fail("uv was looked for"))
    needing.plugin("soup.py", f'# /// script\n# dependencies = ["{entry}"]\n# ///\n')
    done = deps()
    assert told in done.output
    assert "soup.py:1)" in done.output
    assert "pepper" not in done.output


def test_the_lowest_python_is_the_one_that_all_plugins_work_with(needing: Project, wheels: Wheels) -> None:
    wheels.add("ladle", "1.0")
    needs(needing, "soup", "ladle", python=">=3.12.4")
    needs(needing, "stew", "ladle", python="<3.14")
    deps()
    assert "# python: 3.12 or later\n" in lock_of(needing)
    needs(needing, "stew", "ladle", python="<3.12")
    assert "there is no Python from 3.11 on that all plugins work with: 'soup' >=3.12.4, 'stew' <3.12" in deps().output


def test_without_uv_the_command_that_installs_it_is_told(needing: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("opa.packages.resolve.find_uv", lambda: None)
    needs(needing, "soup", "ladle")
    assert "uv, which is not installed. Install it: pip install 'opa-stack[deps]'" in deps().output


def test_two_hundred_plugins_are_resolved_at_once(needing: Project, wheels: Wheels) -> None:
    for number in range(20):
        wheels.add(f"ladle{number}", "1.0", [f"ladle{number + 1}"] if number < 19 else [])
    for number in range(200):
        needs(needing, f"soup{number}", f"ladle{number % 20}>=1")
    assert "20 packages for 200 plugins" in deps().output
