"""A plugin that needs an extra of opa-stack: from the folder with the plugin to a start in production."""

from __future__ import annotations

import json

import pytest

from opa.errors import MissingPackagesError, PackagesError, RequirementError
from opa.packages.provide import is_lacking, provide
from tests.own_metadata import own_metadata
from tests.packages.deps import deps, needs
from tests.project import Project
from tests.wheels import Wheels

IMPORT = """\
import ladle
from opa import get_router
router = get_router()
router.get("/ladle")(lambda: ladle.version)
"""


def test_in_development_it_is_installed_when_the_plugin_appears(
    kitchen: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENV", "dev")
    needs(kitchen, "stew", "opa-stack>=0.1")
    assert not is_lacking(kitchen.config())
    needs(kitchen, "soup", "opa-stack[kitchen]", code=IMPORT)
    assert is_lacking(kitchen.config())
    provide(kitchen.config())
    with kitchen.client() as client:
        assert client.get("/ladle").json() == "1.2"
    needs(kitchen, "stew", "opa-stack[cellar]")
    with pytest.raises(PackagesError, match="plugin 'stew' needs 'opa-stack.cellar.', and opa-stack has no extra"):
        provide(kitchen.config())
    kitchen.settings(PLUGIN_FAILURE="skip")
    assert not is_lacking(kitchen.config())
    assert set(kitchen.prepare().roster.skipped) == {"stew"}


def test_in_production_what_an_extra_lacks_is_a_line_for_each_plugin(kitchen: Project, wheels: Wheels) -> None:
    needs(kitchen, "soup", "opa-stack[kitchen]>=0.1", code=IMPORT)
    with pytest.raises(RequirementError) as caught:
        kitchen.prepare()
    assert str(caught.value).startswith(
        "plugin 'soup' requires the Python package 'opa-stack[kitchen]>=0.1', which needs ladle<3,>=1, spoon, which are"
        " not installed ("
    )
    assert str(caught.value).endswith("Install it: pip install 'opa-stack[kitchen]>=0.1'")
    deps()
    wheels.add("rake", "1.0")
    needs(kitchen, "stew", "rake")
    assert kitchen_lines(kitchen)[-1].endswith("they need. Install all of them: opa deps && opa deps install")
    deps()
    assert kitchen_lines(kitchen)[-1].endswith("they need. Install all of them: opa deps install")
    needs(kitchen, "salad", "opa-stack[cellar]")
    salad, soup, stew, command = kitchen_lines(kitchen)
    assert "plugin 'salad' requires 'opa-stack[cellar]', and opa-stack has no extra 'cellar' (" in salad
    assert salad.endswith("Its extras: kitchen")
    assert "ladle<3,>=1, spoon, which are not installed" in soup
    assert "'rake', which is not installed" in stew
    assert command == "3 plugins have no packages that they need. Install the others: opa deps install"
    kitchen.plugin("salad.py")
    assert "installed ladle 1.2, rake 1.0, spoon 2.0" in deps("install", "--target", ".opa/packages").output
    with kitchen.client() as client:
        assert client.get("/ladle").json() == "1.2"
    assert deps("check").status == 0
    needs(kitchen, "salad", "opa-stack[cellar]")
    with pytest.raises(RequirementError, match="opa-stack has no extra 'cellar' .*Its extras: kitchen"):
        kitchen.prepare()
    needs(kitchen, "salad", "opa-stack>=99")
    with pytest.raises(RequirementError, match="'opa-stack>=99', and this is opa-stack .* that fits"):
        kitchen.prepare()


def kitchen_lines(project: Project) -> list[str]:
    with pytest.raises(MissingPackagesError) as caught:
        project.prepare()
    return list(map(str, caught.value.each))


def test_what_an_extra_needs_is_one_line_of_a_check(kitchen: Project) -> None:
    needs(kitchen, "soup", "opa-stack[kitchen]", "rake")
    assert deps("check").output.splitlines()[1:] == [
        "error: plugin 'soup' needs opa-stack[kitchen], of which these are not installed, or not as needed:"
        " ladle<3,>=1, spoon (plugins/soup.py:1)",
        "error: plugin 'soup' needs rake, which is not installed (plugins/soup.py:1)",
        "Install all of them: pip install 'opa-stack[kitchen]' 'rake'",
    ]
    needs(kitchen, "soup", "ladle")
    deps()
    needs(kitchen, "soup", "opa-stack[kitchen]")
    assert deps("check").output.splitlines()[0] == (
        "error: plugin 'soup' needs ladle<3,>=1, spoon for opa-stack[kitchen] (plugins/soup.py:1), which plugins.lock"
        " does not have. Run opa deps"
    )


def test_a_lock_is_out_of_date_when_the_extra_of_another_opa_stack_needs_something_else(
    kitchen: Project, wheels: Wheels, monkeypatch: pytest.MonkeyPatch
) -> None:
    needs(kitchen, "soup", "opa-stack[kitchen]")
    deps()
    deps("install", "--target", ".opa/packages")
    own_metadata(kitchen.folder / "newer", monkeypatch, kitchen=["ladle>=1,<3", "fork"])
    wheels.add("fork", "1.0")
    done = deps("check")
    assert done.status == 1
    assert done.output.splitlines() == [
        "error: plugin 'soup' needs fork for opa-stack[kitchen] (plugins/soup.py:1), which plugins.lock does not have."
        " Run opa deps",
        "error: plugins.lock has spoon, which no plugin needs. Run opa deps",
        "error: plugin 'soup' needs fork for opa-stack[kitchen], which is not installed (plugins/soup.py:1)",
        "Install all of them: opa deps && opa deps install",
    ]
    with pytest.raises(RequirementError, match="needs fork, which is not installed .* opa deps && opa deps install"):
        kitchen.prepare()
    assert deps().output.splitlines()[:2] == ["+ fork 1.0", "- spoon 2.0"]


def test_a_package_of_metadata_may_be_an_extra_too(kitchen: Project) -> None:
    kitchen.plugin("soup/__init__.py")
    kitchen.meta("soup/meta.json", {"packages": ["opa-stack[kitchen]"]})
    deps()
    deps("install", "--target", ".opa/packages")
    assert "spoon" in json.loads((kitchen.folder / ".opa/packages/.opa-packages").read_text())["lock"]
    assert deps("check").status == 0
    kitchen.prepare()


def test_what_a_package_needs_of_opa_stack_is_looked_for_too(kitchen: Project, wheels: Wheels) -> None:
    wheels.add("cookbook", "1.0", ["opa-stack[cellar]"])
    needs(kitchen, "soup", "cookbook")
    deps()
    deps("install", "--target", ".opa/packages")
    assert (
        "needs cookbook, which needs 'opa-stack[cellar]', and opa-stack has no extra 'cellar'" in deps("check").output
    )
