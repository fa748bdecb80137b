from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opa.settings import merge
from opa.settings.merge import MergedSettings
from opa.settings.merge_marks import is_plain
from opa.settings.sources import Layer, default_layers
from tests.settings_folder import SettingsFolder

MARKS = ("dynaconf_merge", "dynaconf_merge_unique")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SettingsFolder:
    return SettingsFolder(tmp_path, monkeypatch)


def merged(*layers: Layer | dict[str, Any]) -> MergedSettings:
    settings = MergedSettings()
    for number, layer in enumerate(layers, start=1):
        settings.add(layer if isinstance(layer, Layer) else Layer(str(number), layer))
    return settings


def values(*layers: Layer | dict[str, Any]) -> dict[str, Any]:
    settings = merged(*layers)
    assert settings.mistakes == {}
    return settings.values()


def sources(*layers: Layer | dict[str, Any]) -> dict[str, str]:
    return {".".join(path): source for path, source in merged(*layers).sources.items()}


# Replace


@pytest.mark.parametrize(
    ("old", "new"), [(1, 2), ([1], [2]), ({"a": 1}, {"b": 2}), ({"a": 1}, 2), (1, None), ("x", {})]
)
def test_a_later_value_replaces_an_earlier_one(old: Any, new: Any) -> None:
    assert values({"X": old}, {"X": new}) == {"X": new}


def test_names_are_the_same_in_any_case() -> None:
    assert values({"x": 1, "Y": 1}, {"X": 2, "y": 2}) == {"X": 2, "Y": 2}


def test_a_dot_beside_double_underscores_is_one_of_a_key() -> None:
    before = {"X": {"a.b": {"c": [1], "d": 1}, "e": 1}}
    after = {"X": {"a.b": {"c": [2], "d": 1}, "e": 1}}
    assert values(before, {"X__a.b__c": [2]}) == values(before, {"X__A.B__C": [2]}) == after
    assert values(before, {"X__a.b__c": ["dynaconf_merge", 2]})["X"]["a.b"]["c"] == [1, 2]
    assert values({"X__a.b__c": 2}) == {"X": {"a.b": {"c": 2}}}
    assert values({"X": 1}, {"X__a.b__c": 2}) == {"X": {"a.b": {"c": 2}}}
    assert sources(before, {"X__a.b__c": [2]}) == {"X.A.B.C": "2", "X.A.B.D": "1", "X.E": "1"}


# Merge dicts


def test_a_marked_dict_is_merged_at_every_depth() -> None:
    old = {"a": {"b": {"c": 1, "d": 1}, "e": 1}, "f": 1}
    new = {"dynaconf_merge": True, "a": {"b": {"c": 2, "g": 2}}}

    assert values({"X": old}, {"X": new}) == {"X": {"a": {"b": {"c": 2, "d": 1, "g": 2}, "e": 1}, "f": 1}}


def test_keys_are_matched_in_any_case_and_keep_their_first_one() -> None:
    assert values({"X": {"Walrus": {"URL": 1}}}, {"X": {"dynaconf_merge": True, "WALRUS": {"url": 2}}}) == {
        "X": {"Walrus": {"URL": 2}}
    }


def test_a_dict_that_says_no_is_replaced_inside_one_that_is_merged() -> None:
    old = {"a": {"x": 1}, "b": {"x": 1}}
    new = {"dynaconf_merge": True, "a": {"dynaconf_merge": False, "y": 2}}

    assert values({"X": old}, {"X": new}) == {"X": {"a": {"y": 2}, "b": {"x": 1}}}


def test_a_mark_inside_a_dict_that_is_not_merged_counts_for_its_own_dict() -> None:
    old = {"a": {"x": 1, "deep": {"z": 1}}, "b": {"x": 1}}
    new = {"A": {"dynaconf_merge": True, "y": 2, "deep": {"w": 2}}}

    assert values({"X": old}, {"X": new}) == {"X": {"A": {"x": 1, "y": 2, "deep": {"z": 1, "w": 2}}}}


def test_a_mark_inside_a_dict_counts_for_its_own_list() -> None:
    assert values({"X": {"a": [1], "b": 1}}, {"X": {"a": [2, "dynaconf_merge"]}}) == {"X": {"a": [1, 2]}}


@pytest.mark.parametrize("mark", ["dynaconf_merge", "DYNACONF_MERGE", "Dynaconf_Merge"])
def test_a_mark_may_be_in_any_case(mark: str) -> None:
    assert values({"X": {"a": [1], "b": 1}}, {"X": {mark: True, "a": [2, mark]}}) == {"X": {"a": [1, 2], "b": 1}}
    assert values({"X": {"a": [1]}}, {"X": {"a": [2, mark]}}) == {"X": {"a": [1, 2]}}


def test_a_text_that_says_no_counts_inside_a_dict_that_is_merged() -> None:
    new = {"dynaconf_merge": "true", "a": {"dynaconf_merge": "false", "y": 2}}

    assert values({"X": {"a": {"x": 1}, "b": 1}}, {"X": new}) == {"X": {"a": {"y": 2}, "b": 1}}


@pytest.mark.parametrize("mark", [True, "true", "True", "yes"])
def test_a_mark_may_be_a_text_as_in_ini_files(mark: Any) -> None:
    assert values({"X": {"a": 1}}, {"X": {"b": 2, "dynaconf_merge": mark}}) == {"X": {"a": 1, "b": 2}}


@pytest.mark.parametrize("mark", [False, "false", "False"])
def test_a_mark_that_says_no_merges_nothing(mark: Any) -> None:
    assert values({"X": {"a": 1}}, {"X": {"b": 2, "dynaconf_merge": mark}}) == {"X": {"b": 2}}


@pytest.mark.parametrize(
    ("old", "new", "result"),
    [([1], [2], [1, 2]), ({"a": 1}, {"b": 2}, {"a": 1, "b": 2}), (None, [2], [2]), ("x", {"b": 2}, {"b": 2})],
)
def test_a_mark_may_have_what_is_to_be_merged(old: Any, new: Any, result: Any) -> None:
    assert values({"X": old}, {"X": {"dynaconf_merge": new}}) == {"X": result}
    assert values({"Y": 1}, {"X": {"dynaconf_merge": new}}) == {"X": new, "Y": 1}


def test_a_whole_layer_can_be_merged() -> None:
    old = {"X": {"a": 1}, "Y": [1], "Z": 1}

    assert values(old, Layer("2", {"X": {"b": 2}, "Y": [2], "Z": 2}, merge=True)) == {
        "X": {"a": 1, "b": 2},
        "Y": [1, 2],
        "Z": 2,
    }


# Merge lists


@pytest.mark.parametrize(
    "new", [[2, "dynaconf_merge"], ["dynaconf_merge", 2], [2, "dynaconf_merge_unique"], "@merge 2"]
)
def test_a_marked_list_comes_after_what_was_there(new: Any) -> None:
    assert values({"X": [1]}, {"X": new}) == {"X": [1, 2]}


@pytest.mark.parametrize("depth", [0, 1, 2, 3])
def test_a_merged_list_has_each_item_once_at_every_depth(depth: int) -> None:
    def nested(items: list[Any]) -> dict[str, Any]:
        value: Any = items
        for _ in range(depth):
            value = {"a": value, "dynaconf_merge": True}
        return {"X": value}

    found = values(nested(["a", "b"]), nested(["b", "c", "dynaconf_merge"]), nested(["c", "a", "d", "dynaconf_merge"]))

    assert json.dumps(found).count('"a": [') == bool(depth)
    for _ in range(depth):
        found["X"] = found["X"]["a"]
    assert found["X"] == ["a", "b", "c", "d"]


@pytest.mark.parametrize("old", ["text", 1, {"a": 1}, None, True])
def test_a_marked_list_replaces_what_is_no_list(old: Any) -> None:
    new = {"dynaconf_merge": True, "a": ["x", "dynaconf_merge"]}

    assert values({"X": {"a": old}}, {"X": new}) == {"X": {"a": ["x"]}}
    assert values({"X": old}, {"X": ["x", "dynaconf_merge"]}) == {"X": ["x"]}
    assert values({"X": {"a": old}}, {"X__a": ["x", "dynaconf_merge"]}) == {"X": {"a": ["x"]}}


def test_items_that_are_dicts_are_compared_as_a_whole() -> None:
    assert values({"X": [{"a": 1}, {"b": 1}]}, {"X": [{"a": 1}, {"a": 2}, "dynaconf_merge"]}) == {
        "X": [{"a": 1}, {"b": 1}, {"a": 2}]
    }


def test_true_and_one_are_different_items() -> None:
    assert values({"X": [1]}, {"X": [2, True, "dynaconf_merge"]}) == {"X": [1, 2, True]}


def test_a_list_that_is_not_merged_keeps_its_doubles() -> None:
    assert values({"X": {"a": [1]}}, {"X": {"a": [2, 2], "b": [3, 3]}}) == {"X": {"a": [2, 2], "b": [3, 3]}}


def test_doubles_stay_in_a_list_that_a_merge_does_not_touch() -> None:
    assert values({"X": {"a": [1, 1]}}, {"X": {"dynaconf_merge": True, "b": 2}}) == {"X": {"a": [1, 1], "b": 2}}


def test_a_mark_in_a_text_makes_a_list_where_nothing_was_before() -> None:
    assert values(
        {"X": {"a": "@merge 1", "b": "@insert 0 1", "c": "@merge 1,2"}, "Y": "@merge 1", "Z": "@insert 1"}
    ) == {
        "X": {"a": [1], "b": [1], "c": [1, 2]},
        "Y": [1],
        "Z": [1],
    }


# Marks never survive


@pytest.mark.parametrize(
    "value",
    [
        [1, "dynaconf_merge"],
        [1, "dynaconf_merge_unique"],
        {"a": [1, "dynaconf_merge"]},
        {"dynaconf_merge": True, "a": [1]},
        {"a": {"dynaconf_merge": True, "b": [1, "dynaconf_merge"]}},
        {"a": [{"dynaconf_merge": True, "b": 1}]},
        [["dynaconf_merge"], [{"a": ["dynaconf_merge"]}]],
        {"a": "@merge 1"},
        "@merge 1",
        "@merge_unique 1",
        {"a": {"b": "@merge a=1"}},
        {"a": "@insert 0 1"},
        {"a": "@del"},
    ],
)
@pytest.mark.parametrize(
    "before", [[], [{"X": None}], [{"X": 1}], [{"X": [1]}], [{"X": {"a": [1]}}], [{"X": {"a": 1}}]]
)
def test_a_mark_never_survives_in_a_value(before: list[dict[str, Any]], value: Any) -> None:
    found = values(*before, {"X": value})

    text = json.dumps(found)
    assert not any(mark in text for mark in ("dynaconf", "@", "Merge", "Del"))


trees = st.recursive(
    st.integers(0, 3) | st.none(),
    lambda inner: (
        st.lists(inner | st.sampled_from(MARKS), max_size=3)
        | st.builds(
            dict[str, Any].__or__,
            st.dictionaries(st.sampled_from(["a", "b", "B", "c"]), inner, max_size=3),
            st.dictionaries(st.sampled_from(MARKS), st.booleans(), max_size=2),
        )
    ),
    max_leaves=12,
)


@given(layers=st.lists(st.dictionaries(st.sampled_from(["X", "y"]), trees, max_size=2), max_size=4))
def test_merged_settings_have_no_marks_and_a_source_for_every_value(layers: list[dict[str, Any]]) -> None:
    settings = merged(*layers)
    found = settings.values()
    assert settings.mistakes == {}

    def check(path: tuple[str, ...], value: Any) -> None:
        if isinstance(value, dict) and value:
            for key, item in value.items():
                assert key not in MARKS
                check((*path, key.upper()), item)
        else:
            assert not any(mark in json.dumps(value) for mark in MARKS)
            assert path in settings.sources

    for name, value in found.items():
        check((name,), value)
    assert {path[0] for path in settings.sources} == set(found)


# What is plain

TEXTS = (
    "x",
    "",
    "1",
    "a@b",
    "@del",
    "@none",
    "@int 4",
    "a @merge b",
    "@format {this.X}",
    "@format {this.Y.a}",
    "dynaconf_merge",
)

plain = st.recursive(
    st.sampled_from(TEXTS) | st.integers(0, 1) | st.booleans() | st.none(),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["a", "A", "b c", "d.e", *MARKS]), inner, max_size=2)
    ),
    max_leaves=6,
)


@given(layers=st.lists(st.dictionaries(st.sampled_from(["X", "y", "Y__a", "USERS"]), plain, max_size=2), max_size=3))
def test_a_plain_value_is_what_dynaconf_makes_of_it(layers: list[dict[str, Any]]) -> None:
    quick = merged(*layers)
    found = repr(quick.values()), quick.sources, quick.mistakes
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(merge, "is_plain", lambda *_: False)
        slow = merged(*layers)
        asked = repr(slow.values()), slow.sources, slow.mistakes
    assert _without_addresses(found) == _without_addresses(asked)


def _without_addresses(found: Any) -> str:
    return re.sub(r" on \d+", "", str(found))


@pytest.mark.parametrize("value", ["@int 4", "a @merge b", {"dynaconf_merge": True}, {"a": ["@none"]}, {"a.b": 1}])
def test_what_may_be_a_mark_is_for_dynaconf(value: Any) -> None:
    assert not is_plain("X", value)


def test_what_takes_time_to_merge_is_not_nearly_all_that_the_defaults_say() -> None:
    assert all(is_plain(name, value) for layer in default_layers() for name, value in layer.values.items())


# Names that lead inside


@pytest.mark.parametrize("key", ["X__A__B", "X.A.B", "x__a__b"])
def test_a_name_may_lead_into_a_dict(key: str) -> None:
    assert values({"X": {"a": {"b": 1, "c": 1}}}, {key: 2}) == {"X": {"a": {"b": 2, "c": 1}}}


def test_a_nested_name_creates_missing_dicts() -> None:
    assert values({"X__a__b": 1}) == {"X": {"a": {"b": 1}}}


def test_a_list_inside_is_replaced_or_merged_as_it_says() -> None:
    old = {"X": {"a": [1], "b": [1]}}

    assert values(old, {"X__a": [2], "X__b": "@merge 2"}) == {"X": {"a": [2], "b": [1, 2]}}


# Sources


def test_the_source_of_a_value_is_the_last_one_that_says_it() -> None:
    assert sources({"X": 1, "Y": 1, "Z": 1}, {"X": 2, "Y": 1}) == {"X": "2", "Y": "2", "Z": "1"}


def test_nested_values_have_sources_of_their_own() -> None:
    old = {"X": {"a": {"b": 1, "c": 1}, "d": 1}}

    assert sources(old, {"X": {"dynaconf_merge": True, "A": {"b": 2}}}, {"X__D": 3}) == {
        "X.A.B": "2",
        "X.A.C": "1",
        "X.D": "3",
    }


def test_a_list_that_was_extended_has_all_its_sources() -> None:
    assert sources({"X": [1]}, {"X": [2, "dynaconf_merge"]}, {"X": "@merge 3"}) == {"X": "1, 2, 3"}


def test_a_list_that_was_replaced_has_the_last_source() -> None:
    assert sources({"X": [1]}, {"X": [1, 2]}) == {"X": "2"}


def test_a_dict_that_was_replaced_leaves_no_sources_behind() -> None:
    assert sources({"X": {"a": 1, "b": 1}}, {"X": {"c": 1}}) == {"X.C": "2"}


def test_an_empty_dict_has_a_source() -> None:
    assert sources({"X": {"a": 1}}, {"X": {}}) == {"X": "2"}


def test_a_deleted_setting_has_no_source() -> None:
    assert sources({"X": 1}, {"X": "@del"}) == {}


# Through files and variables


def test_the_page_of_the_plugin_system_its_example_of_plugin_paths(folder: SettingsFolder) -> None:
    folder.file("a.yaml", "default:\n  PLUGIN_PATHS:\n    - /extra_plugins\n    - dynaconf_merge")

    config = folder.load()

    assert config.PLUGIN_PATHS == ["/plugins", "/extra_plugins"]
    assert config.source("PLUGIN_PATHS") == f"default-settings.yaml [default], {folder.path}/a.yaml [default]"


def test_the_page_of_optional_components_its_example(folder: SettingsFolder) -> None:
    folder.file(
        "a.yaml",
        """
        myenv:
          OPTIONAL_COMPONENTS:
            dynaconf_merge: true
            WALRUS:
              LOAD: "auto"
              DRIVER: "redis-walrus"
              OPTS:
                URL: "redis://some-external-redis"
        """,
    )
    folder.variables(ENV="myenv")

    config = folder.load()

    assert set(config.OPTIONAL_COMPONENTS) == {"MONGODB", "WALRUS", "AIOREDIS", "CELERY", "SQL", "SQL_SYNC"}
    assert config.OPTIONAL_COMPONENTS.WALRUS.OPTS.URL == "redis://some-external-redis"
    assert config.source("optional_components.walrus.opts.url") == f"{folder.path}/a.yaml [myenv]"
    assert config.source("OPTIONAL_COMPONENTS.CELERY.OPTS.BROKER_URL") == "default-settings.yaml [default]"


def test_without_a_mark_the_components_are_replaced(folder: SettingsFolder) -> None:
    folder.file("a.yaml", "default: {OPTIONAL_COMPONENTS: {MINE: {DRIVER: x}}}")

    assert set(folder.load().OPTIONAL_COMPONENTS) == {"MINE"}


def test_a_component_is_merged_whatever_the_case_of_its_keys(folder: SettingsFolder) -> None:
    folder.file(
        "a.yaml", "default: {optional_components: {dynaconf_merge: true, walrus: {load: true, opts: {url: redis://x}}}}"
    )

    config = folder.load()

    assert config.OPTIONAL_COMPONENTS.WALRUS == {
        "LOAD": "yes",
        "DRIVER": "redis-walrus",
        "OPTS": {"URL": "redis://x"},
    }


@pytest.mark.parametrize(
    "text",
    ["dynaconf_merge: true\ndefault: {Y: [2]}", "default: {dynaconf_merge: true, Y: [2]}", "default: {Y: '@merge 2'}"],
)
def test_a_file_or_a_section_can_be_merged_as_a_whole(folder: SettingsFolder, text: str) -> None:
    folder.file("a.yaml", "default: {Y: [1]}")
    folder.file("b.yaml", text)

    assert folder.load()["Y"] == [1, 2]


def test_a_python_file_can_be_merged_as_a_whole(folder: SettingsFolder) -> None:
    folder.file("a.yaml", "default: {Y: [1]}")
    folder.file("b.py", "dynaconf_merge = True\nY = [2]")

    assert folder.load()["Y"] == [1, 2]


def test_aliases_in_a_yaml_file_are_not_changed_by_a_merge(folder: SettingsFolder) -> None:
    folder.file("a.yaml", "default: {A: &list [1], B: *list, C: *list}\nglobal: {A: [2, dynaconf_merge]}")

    config = folder.load()

    assert (config.A, config.B, config.C) == ([1, 2], [1], [1])


def test_a_variable_merges_json_into_a_dict(folder: SettingsFolder) -> None:
    folder.variables(OPA_OPTIONAL_COMPONENTS='@merge {"MINE": {"DRIVER": "x", "OPTS": {"URL": "redis://x"}}}')

    config = folder.load()

    assert config.OPTIONAL_COMPONENTS.MINE.OPTS.URL == "redis://x"
    assert config.OPTIONAL_COMPONENTS.WALRUS.DRIVER == "redis-walrus"
