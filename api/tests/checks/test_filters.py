from __future__ import annotations

import pytest

from opa.checks.filters import entries_without_plugin, expressions_for_former_plugins, misspelt_tags
from tests.project import Project


@pytest.fixture
def shop(project: Project) -> Project:
    """A project with the plugins `shop` and `orders`, a package."""
    project.plugin("shop.py")
    project.plugin("orders/__init__.py")
    return project


def told(project: Project) -> list[str]:
    return [str(mistake).replace(str(project.folder), "…") for mistake in entries_without_plugin(project.prepare())]


@pytest.mark.parametrize("setting", ["PLUGIN_WHITELIST_LIST", "PLUGIN_BLACKLIST_LIST"])
def test_a_name_without_its_path_is_reported_with_the_setting_its_source_and_what_it_should_be(
    shop: Project, setting: str
) -> None:
    shop.settings(**{setting: ["shop"]})
    assert told(shop) == [
        f"{setting} has 'shop', and no plugin of this path and name was found (…/settings/00-test.json [default]). "
        "Did you mean '…/plugins/shop'?"
    ]


@pytest.mark.parametrize(
    ("entry", "meant"),
    [
        ("plugins/shop.py", "shop"),
        ("plugins/orders/__init__.py", "orders"),
        ("elsewhere/orders", "orders"),
        ("plugins/oders", "orders"),
        ("acme.shop", "shop"),
    ],
)
def test_the_plugin_that_was_meant_is_named(shop: Project, entry: str, meant: str) -> None:
    shop.settings(PLUGIN_BLACKLIST_LIST=[entry])
    (line,) = told(shop)
    assert line.endswith(f". Did you mean '…/plugins/{meant}'?")


def test_an_entry_that_is_near_nothing_is_told_how_entries_are_written(shop: Project) -> None:
    shop.settings(PLUGIN_BLACKLIST_LIST=["/nowhere/to/be/found"])
    (line,) = told(shop)
    assert line.endswith(". Write it as 'opa plugins' shows its file, without .py or /__init__.py")


@pytest.mark.parametrize(
    "entry",
    ["plugins/shop", "plugins/orders", "plugins/orders/", "elsewhere/later", "plugins/scripts", "acme.reports"],
)
def test_an_entry_for_an_existing_plugin_is_not_reported(shop: Project, entry: str) -> None:
    shop.plugin("later.py", folder="elsewhere")  # such as a plugin path of another env
    shop.plugin("scripts/load.py")
    shop.settings(PLUGIN_BLACKLIST_LIST=[entry], INSTALLED_PLUGINS=[{"NAME": "acme.reports", "OPTIONAL": True}])
    assert told(shop) == []


def test_a_built_in_plugin_may_be_named(shop: Project) -> None:
    from opa.loading.discover import BUILT_IN_FOLDER

    shop.settings(PLUGIN_BLACKLIST_LIST=[f"{BUILT_IN_FOLDER}/core_docs"])
    assert told(shop) == []


def test_a_file_that_is_no_plugin_by_its_name_is_told_where_it_is_to_be_loaded(shop: Project) -> None:
    shop.plugin("test_report.py")
    entries = ["plugins/shop", "plugins/test_report"]
    shop.settings(PLUGIN_WHITELIST_LIST=entries)
    (line,) = told(shop)
    assert line.endswith(
        ". test_report.py is not loaded as a plugin: its name is reserved for pytest, setuptools or Python itself."
        " Rename it"
    )
    shop.settings(PLUGIN_WHITELIST_LIST=[], PLUGIN_BLACKLIST_LIST=entries)
    assert told(shop) == []


@pytest.mark.parametrize("entry", ["opa/plugins/core_cors", "/opt/opa/plugins/core_cors.py", "core_cors"])
def test_a_plugin_that_has_become_a_setting_is_reported_with_the_setting(shop: Project, entry: str) -> None:
    shop.settings(PLUGIN_BLACKLIST_LIST=[entry])
    (line,) = told(shop)
    assert line.endswith(". CORS is no longer a plugin: the setting ALLOW_ORIGINS turns it on. Remove the name")


def test_a_plugin_that_has_become_a_setting_is_told_where_an_expression_names_it(shop: Project) -> None:
    shop.settings(PLUGIN_BLACKLIST_RE=".*/(core_cors|other)$")
    (mistake,) = expressions_for_former_plugins(shop.prepare())
    assert mistake.problem == "PLUGIN_BLACKLIST_RE has 'core_cors', and there is no plugin of this name"
    assert "ALLOW_ORIGINS" in mistake.hint
    shop.plugin("core_cors.py")
    assert list(expressions_for_former_plugins(shop.prepare())) == []


@pytest.mark.parametrize("setting", ["PLUGIN_WHITELIST_TAGS", "PLUGIN_BLACKLIST_TAGS"])
def test_a_misspelt_tag_is_told_with_the_one_that_was_meant(shop: Project, setting: str) -> None:
    shop.plugin("shop-meta.json", '{"tags": ["internal"]}')
    shop.settings(**{setting: ["intenal", "internal", "of-another-env"]})
    (line,) = [str(finding) for finding in misspelt_tags(shop.prepare())]
    assert line.startswith(f"{setting} has 'intenal', and no plugin has this tag (")
    assert line.endswith(". Did you mean 'internal'?")
