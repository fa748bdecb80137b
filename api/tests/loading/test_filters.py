from __future__ import annotations

from typing import Any

import pytest

from opa.errors import FilterError
from opa.loading.discover import find_plugins, first_of_each_name, plugin_folders
from opa.loading.filters import PluginFilters, decide
from tests.project import Project


@pytest.fixture
def plugins(project: Project) -> Project:
    """Three plugins: `red` (tags warm, all), `blue` (cold, all), and `plain` without metadata."""
    for name, tags in {"red": ["warm", "all"], "blue": ["cold", "all"]}.items():
        project.plugin(f"{name}.py")
        project.meta(f"{name}-meta.json", {"tags": tags})
    project.plugin("plain/__init__.py")
    return project


def loaded(project: Project, **filters: Any) -> list[str]:
    for name, value in filters.items():
        if not name.endswith("_re"):
            filters[name] = frozenset(value)
    decisions = decide(find_plugins([project.plugins]), PluginFilters(**filters))
    return [decision.plugin.name for decision in decisions if decision.load]


def test_without_filters_everything_is_loaded(plugins: Project) -> None:
    assert loaded(plugins) == ["blue", "plain", "red"]


def test_the_whitelist_list_has_plugin_path_and_name(plugins: Project) -> None:
    assert loaded(plugins, whitelist_list=[f"{plugins.plugins}/red", f"{plugins.plugins}/plain"]) == [
        "plain",
        "red",
    ]
    assert loaded(plugins, whitelist_list=["red"]) == []


def test_the_lists_may_have_paths_from_the_current_folder(plugins: Project) -> None:
    assert loaded(plugins, whitelist_list=["plugins/red"]) == ["red"]
    assert loaded(plugins, blacklist_list=["plugins/red"]) == ["blue", "plain"]


def test_the_whitelist_expression_matches_from_the_beginning_of_the_path(plugins: Project) -> None:
    assert loaded(plugins, whitelist_re=r".*/(red|blue)$") == ["blue", "red"]
    assert loaded(plugins, whitelist_re="red") == []


def test_whitelist_tags_ask_for_one_of_them(plugins: Project) -> None:
    assert loaded(plugins, whitelist_tags=["warm"]) == ["red"]
    assert loaded(plugins, whitelist_tags=["warm", "cold"]) == ["blue", "red"]


def test_the_blacklist_list_has_plugin_path_and_name(plugins: Project) -> None:
    assert loaded(plugins, blacklist_list=[f"{plugins.plugins}/red"]) == ["blue", "plain"]


def test_the_blacklist_expression_matches_from_the_beginning_of_the_path(plugins: Project) -> None:
    assert loaded(plugins, blacklist_re=r".*/plain") == ["blue", "red"]
    assert loaded(plugins, blacklist_re="red") == ["blue", "plain", "red"]


def test_blacklist_tags_refuse_what_has_one_of_them(plugins: Project) -> None:
    assert loaded(plugins, blacklist_tags=["cold"]) == ["plain", "red"]
    assert loaded(plugins, blacklist_tags=["all"]) == ["plain"]


def test_all_filters_must_agree(plugins: Project) -> None:
    assert loaded(plugins, whitelist_tags=["all"], blacklist_re=".*/red", whitelist_re=".*") == ["blue"]
    assert loaded(plugins, whitelist_list=["plugins/red"], whitelist_tags=["cold"]) == []


def test_each_refusal_is_given_as_a_reason(plugins: Project) -> None:
    filters = PluginFilters(whitelist_tags=frozenset({"cold"}), blacklist_re=".*/red")
    reasons = {decision.plugin.name: decision.reasons for decision in decide(find_plugins([plugins.plugins]), filters)}
    assert reasons["blue"] == ()
    assert reasons["red"] == (
        "none of its tags is in PLUGIN_WHITELIST_TAGS",
        "PLUGIN_BLACKLIST_RE '.*/red' matches",
    )


def test_a_whitelist_leaves_the_built_in_plugins_alone_and_a_blacklist_does_not(plugins: Project) -> None:
    found = find_plugins(plugin_folders([str(plugins.plugins)]))
    white = decide(found, PluginFilters(whitelist_list=frozenset({"plugins/red"})))
    assert {"red", "driver_redis"} <= {decision.plugin.name for decision in white if decision.load}
    black = decide(found, PluginFilters(blacklist_re=".*/driver_redis$"))
    assert "driver_redis" not in {decision.plugin.name for decision in black if decision.load}


@pytest.mark.parametrize("setting", ["whitelist_re", "blacklist_re"])
def test_an_expression_that_does_not_compile_is_an_error_that_names_the_setting(plugins: Project, setting: str) -> None:
    with pytest.raises(FilterError, match=f"PLUGIN_{setting.upper()} '\\(' is not a regular expression"):
        loaded(plugins, **{setting: "("})


def test_the_first_of_a_name_wins_even_where_a_filter_drops_it(plugins: Project) -> None:
    plugins.plugin("red.py", folder="more")
    found = first_of_each_name(find_plugins([plugins.plugins, plugins.folder / "more"]))
    decisions = decide(found, PluginFilters(blacklist_list=frozenset({"plugins/red"})))
    assert "red" not in [decision.plugin.name for decision in decisions if decision.load]
