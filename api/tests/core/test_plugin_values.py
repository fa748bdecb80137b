from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal, Optional

import pytest
from pydantic import (
    AliasChoices,
    BaseModel,
    ConfigDict,
    Field,
    Json,
    RootModel,
    Secret,
    SecretStr,
    ValidationError,
    create_model,
    field_validator,
    model_validator,
)
from pydantic.alias_generators import to_camel
from typing_extensions import TypedDict

from opa.core.plugin_values import plugin_values
from tests.settings_folder import SettingsFolder


class Limits(BaseModel):
    max_rows: int = 1
    code: str = ""


@dataclass
class Point:
    x: int
    label: str = ""


class Options(TypedDict, total=False):
    depth: int
    name: str


class Level(Enum):
    ONE = "1"


class Hosts(RootModel[list[str]]):
    pass


def read(annotation: Any, folder: SettingsFolder, **variables: str) -> Any:
    """What a field `f` of this type gets from the variables."""
    folder.variables(**{f"OPA_PLUGIN_SETTINGS__A__{name}": text for name, text in variables.items()})
    config = folder.load()
    model = create_model("Model", __config__=ConfigDict(extra="forbid"), f=(annotation, ...))
    values = plugin_values(
        model, config.PLUGIN_SETTINGS.A, lambda path: config.variable_text(("PLUGIN_SETTINGS", "a", *path))
    )
    return values.validated(model).f  # type: ignore[attr-defined]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SettingsFolder:
    return SettingsFolder(tmp_path, monkeypatch)


@pytest.mark.parametrize(
    ("annotation", "text", "expected"),
    [
        (str, "123456", "123456"),
        (str, "1_000", "1_000"),
        (str, "1.10", "1.10"),
        (str, "true", "true"),
        (str, "1979-05-27", "1979-05-27"),
        (str, "[1]", "[1]"),
        (str, "{a = 1}", "{a = 1}"),
        (str, "@str 5", "5"),
        (str | None, "123", "123"),
        (Optional[str], "12:30:00", "12:30:00"),  # noqa: UP045 - as many write it
        (SecretStr, "123456", SecretStr("123456")),
        (SecretStr | None, "123456", SecretStr("123456")),
        (Secret[str], "5", Secret[str]("5")),
        (Secret[list[str]], "a,5", Secret[list[str]](["a", "5"])),
        (Annotated[str, Field(min_length=3)], "123", "123"),
        (Path, "5", Path("5")),
        (Decimal, "1.10", Decimal("1.10")),
        (Level, "1", Level.ONE),
        (Literal["1", "x"], "1", "1"),
        (int, "5", 5),
        (int | None, "null", None),
        (int | None, "", None),
        (float, "5", 5.0),
        (bool, "on", True),
        (bool, "false", False),
        (int | str, "5", 5),
        (int | str, "a", "a"),
        (list[str], "a,b", ["a", "b"]),
        (list[str], "a, b,", ["a", "b"]),
        (list[str], "123", ["123"]),
        (list[str], '["a", "b"]', ["a", "b"]),
        (list[str], "", []),
        (list[str] | None, "a", ["a"]),
        (list[int], "1,2", [1, 2]),
        (list[int], "[1, 2]", [1, 2]),
        (list[SecretStr], "1,2", [SecretStr("1"), SecretStr("2")]),
        (set[str], "a,a", {"a"}),
        (tuple[str, ...], "a,b", ("a", "b")),
        (Sequence[str], "a,b", ["a", "b"]),
        (str | list[str], "a,b", "a,b"),
        (Hosts, "a,b", Hosts(["a", "b"])),
        (dict[str, int], '{"a": 1}', {"a": 1}),
        (dict[str, int], "{a = 1}", {"a": 1}),
        (Mapping[str, Any], '{"a": null}', {"a": None}),
        (list[Limits], '[{"max_rows": 2}]', [Limits(max_rows=2)]),
        (Limits, '{"MAX_ROWS": 2}', Limits(max_rows=2)),
        (Json[list[int]], "[1, 2]", [1, 2]),
        (Any, "5", 5),
    ],
)
def test_a_variable_is_read_as_the_model_asks(
    folder: SettingsFolder, annotation: Any, text: str, expected: Any
) -> None:
    assert read(annotation, folder, F=text) == expected


@pytest.mark.parametrize(
    ("annotation", "variables", "expected"),
    [
        (Limits, {"F__MAX_ROWS": "5", "F__CODE": "007"}, Limits(max_rows=5, code="007")),
        (Limits | None, {"F__CODE": "12"}, Limits(code="12")),
        (Limits | Point, {"F__X": "1", "F__LABEL": "2"}, Point(1, "2")),
        (dict[str, Limits], {"F__ONE__CODE": "1"}, {"ONE": Limits(code="1")}),
        (dict[str, str], {"F__ONE": "1"}, {"ONE": "1"}),
        (dict[str, str], {"F__reports.nightly": "007"}, {"reports.nightly": "007"}),
        (Point, {"F__X": "1", "F__LABEL": "2"}, Point(1, "2")),
        (Options, {"F__DEPTH": "1", "F__NAME": "2"}, {"depth": 1, "name": "2"}),
    ],
)
def test_variables_lead_into_nested_models(
    folder: SettingsFolder, annotation: Any, variables: dict[str, str], expected: Any
) -> None:
    assert read(annotation, folder, **variables) == expected


class WithAliases(BaseModel):
    model_config = ConfigDict(extra="forbid")

    api_key: str = Field("", alias="apiKey")
    host: str = Field("", validation_alias=AliasChoices("server", "hostName"))
    time_out: int = 0


class Camel(BaseModel):
    model_config = ConfigDict(extra="forbid", alias_generator=to_camel)

    api_key: str = ""


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"APIKEY": "1"}, {"api_key": "1"}),
        ({"API_KEY": "1"}, {"api_key": "1"}),
        ({"apiKey": "1"}, {"api_key": "1"}),
        ({"HOST": "a"}, {"host": "a"}),
        ({"Server": "a"}, {"host": "a"}),
        ({"HOSTNAME": "a"}, {"host": "a"}),
        ({"Time_Out": 3}, {"time_out": 3}),
    ],
)
def test_names_and_aliases_are_matched_without_regard_to_case(values: dict[str, Any], expected: Any) -> None:
    made = plugin_values(WithAliases, values, lambda _: None).validated(WithAliases)

    assert made.model_dump(exclude_unset=True) == expected


def test_generated_aliases_are_matched_too() -> None:
    for key in ("apiKey", "APIKEY", "api_key", "API_KEY"):
        assert plugin_values(Camel, {key: "1"}, lambda _: None).validated(Camel) == Camel.model_validate(
            {"apiKey": "1"}
        )


def test_a_field_that_is_there_under_two_names_is_a_mistake() -> None:
    with pytest.raises(ValidationError, match="Extra inputs"):
        plugin_values(WithAliases, {"apiKey": "1", "api_key": "2"}, lambda _: None).validated(WithAliases)


def test_the_models_own_way_to_read_a_list_wins() -> None:
    class Own(BaseModel):
        hosts: list[str]

        @field_validator("hosts", mode="before")
        @classmethod
        def _split(cls, value: Any) -> Any:
            return value.split(";") if isinstance(value, str) else value

    assert plugin_values(Own, {"hosts": "a,b;c"}, lambda _: None).validated(Own).model_dump() == {"hosts": ["a,b", "c"]}


def test_a_number_of_a_file_is_no_text() -> None:
    with pytest.raises(ValidationError, match="valid string"):
        plugin_values(Limits, {"code": 5}, lambda _: None).validated(Limits)


def test_a_value_that_cannot_be_read_is_reported_as_it_was_written(folder: SettingsFolder) -> None:
    with pytest.raises(ValidationError) as caught:
        read(list[int], folder, F="a,b")

    assert [detail["input"] for detail in caught.value.errors()] == ["a,b"]


def test_a_mistake_inside_says_nothing_of_a_field_of_the_same_name_outside() -> None:
    class Inner(BaseModel):
        hosts: str
        port: int

    class Model(BaseModel):
        hosts: list[str] | str
        inner: Inner

    values = plugin_values(Model, {"hosts": "a,b", "inner": {"hosts": [], "port": 1}}, lambda _: None)
    with pytest.raises(ValidationError):
        values.validated(Model)
    assert [reading.is_given_up for reading in values.readings] == [False]


def test_a_member_of_a_union_is_no_key() -> None:
    class Model(BaseModel):
        inner: dict[str, list[int]] | int

    values = plugin_values(Model, {"inner": {"a": "1,2"}}, lambda _: None)
    assert values.validated(Model).inner == {"a": [1, 2]}  # type: ignore[attr-defined]


def test_a_value_is_read_otherwise_for_each_of_many_keys() -> None:
    class Model(BaseModel):
        many: dict[str, list[str]]

    values = plugin_values(Model, {"many": {str(number): "a,b" for number in range(5000)}}, lambda _: None)
    started = time.process_time()
    assert values.validated(Model).many["4999"] == ["a", "b"]  # type: ignore[attr-defined]
    assert time.process_time() - started < 5


def test_a_value_that_a_validator_takes_away_is_there_for_the_next_try() -> None:
    class Model(BaseModel):
        hosts: list[str]

        @model_validator(mode="before")
        @classmethod
        def _rename(cls, values: dict[str, Any]) -> dict[str, Any]:
            values["hosts"] = values.pop("servers")
            return values

    values = plugin_values(Model, {"servers": ["a"], "hosts": "b"}, lambda _: None)
    assert values.validated(Model).hosts == ["a"]  # type: ignore[attr-defined]
    assert values.values == {"servers": ["a"], "hosts": "b"}
