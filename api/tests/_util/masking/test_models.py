from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Annotated, Any, Generic, Literal, NamedTuple, NewType, Optional, TypedDict, TypeVar

import pytest
from pydantic import (
    AliasChoices,
    AliasPath,
    BaseModel,
    ConfigDict,
    Field,
    Json,
    RootModel,
    Secret,
    SecretBytes,
    SecretStr,
)
from typing_extensions import TypeAliasType

from opa._util.masking.models import holds_secret, mask_by_type

PIN = "hunter2"
T = TypeVar("T")
Pin = NewType("Pin", SecretStr)


class Login(BaseModel):
    user: str = ""
    pin: SecretStr


class Open(BaseModel):
    color: str = ""


class Node(BaseModel):
    name: str = ""
    pin: SecretStr | None = None
    below: list[Node] = []


class Box(BaseModel, Generic[T]):
    inside: T


class Logins(RootModel[list[Login]]):
    pass


class Renamed(BaseModel):
    one: SecretStr = Field(alias="first")
    two: SecretStr = Field(validation_alias=AliasChoices("second", AliasPath("deep", "second"), AliasPath("list", 1)))


class Camel(BaseModel):
    model_config = ConfigDict(alias_generator=lambda name: f"my-{name}")
    pin: SecretStr


class Card(BaseModel):
    kind: Literal["card"]
    number: SecretStr
    name: str = ""


class Cash(BaseModel):
    kind: Literal["cash"]
    coins: int = 0


@dataclasses.dataclass
class Data:
    pin: SecretStr
    color: str = ""


@dataclasses.dataclass
class DataBox(Generic[T]):
    inside: T


class Typed(TypedDict, total=False):
    pin: SecretStr
    color: str


class Pair(NamedTuple):
    color: str
    pin: SecretStr


FOUND: list[tuple[Any, Any, Any]] = [
    (SecretStr, PIN, "***"),
    (SecretBytes, PIN, "***"),
    (Secret[int], 4711, "***"),
    (Pin, PIN, "***"),
    (Optional[SecretStr], PIN, "***"),  # noqa: UP045  the old way to write it
    (Annotated[SecretStr, Field(min_length=1)], PIN, "***"),
    (Login, {"user": "me", "pin": PIN}, {"user": "me", "pin": "***"}),
    (Login | None, {"user": "me", "PIN": PIN}, {"user": "me", "PIN": "***"}),
    (list[Login], [{"user": "me", "pin": PIN}], [{"user": "me", "pin": "***"}]),
    (list[list[Login]], [[{"user": "a", "pin": PIN}]], [[{"user": "a", "pin": "***"}]]),
    (Sequence[SecretStr], [PIN, PIN], ["***", "***"]),
    (dict[str, Login], {"a": {"user": "me", "pin": PIN}}, {"a": {"user": "me", "pin": "***"}}),
    (dict[str, dict[str, SecretStr]], {"a": {"b": PIN}}, {"a": {"b": "***"}}),
    (dict[SecretStr, int], {PIN: 1}, {"***": 1}),
    (tuple[str, SecretStr], ["me", PIN], ["me", "***"]),
    (tuple[SecretStr, ...], [PIN, PIN], ["***", "***"]),
    (
        Node,
        {"name": "a", "below": [{"name": "b", "pin": PIN, "below": [{"pin": PIN}]}]},
        {"name": "a", "below": [{"name": "b", "pin": "***", "below": [{"pin": "***"}]}]},
    ),
    (Box[SecretStr], {"inside": PIN}, {"inside": "***"}),
    (Box[list[Login]], {"inside": [{"user": "me", "pin": PIN}]}, {"inside": [{"user": "me", "pin": "***"}]}),
    (Logins, [{"user": "me", "pin": PIN}], [{"user": "me", "pin": "***"}]),
    (Renamed, {"first": PIN, "second": PIN}, {"first": "***", "second": "***"}),
    (Renamed, {"deep": {"second": PIN, "color": "red"}}, {"deep": {"second": "***", "color": "red"}}),
    (Renamed, {"list": ["red", PIN]}, {"list": ["red", "***"]}),
    (Camel, {"my-pin": PIN}, {"my-pin": "***"}),
    (
        Annotated[Card | Cash, Field(discriminator="kind")],
        {"kind": "card", "number": PIN, "name": "me"},
        {"kind": "card", "number": "***", "name": "me"},
    ),
    (Card | Cash, {"kind": "cash", "coins": 3}, {"kind": "cash", "coins": 3}),
    (list[Card | Cash], [{"kind": "cash", "coins": 3}], [{"kind": "cash", "coins": 3}]),
    (Card | SecretStr, PIN, "***"),
    (Data, {"pin": PIN, "color": "red"}, {"pin": "***", "color": "red"}),
    (DataBox[SecretStr], {"inside": PIN}, "***"),
    (Typed, {"pin": PIN, "color": "red"}, {"pin": "***", "color": "red"}),
    (Pair, ["red", PIN], ["red", "***"]),
    (Pair, {"color": "red", "pin": PIN}, {"color": "red", "pin": "***"}),
    # wrong values
    (Login, PIN, "***"),
    (Login, [PIN], "***"),
    (list[Login], PIN, "***"),
    (list[Login], [PIN], ["***"]),
    (list[Login], {"pin": PIN}, "***"),
    (dict[str, Login], PIN, "***"),
    (dict[str, Login], {"a": PIN}, {"a": "***"}),
    (dict[str, Login], [PIN], "***"),
    (tuple[str, SecretStr], ["me", "you", PIN], ["me", "***", "***"]),
    (SecretStr, {"a": PIN}, "***"),
    (Login, {"user": "me", "pim": PIN}, {"user": "me", "pim": "***"}),
    (Json[Login], f'{{"pin": "{PIN}"}}', "***"),
    # what is not secret, or secret by its name or shape alone
    (Open, {"color": "red", "colour": "blue"}, {"color": "red", "colour": "blue"}),
    (Open, "red", "red"),
    (dict[str, Any], {"password": PIN, "color": "red"}, {"password": "***", "color": "red"}),
    (Any, {"a": [{"api_key": PIN}]}, {"a": [{"api_key": "***"}]}),
    (str, f"redis://:{PIN}@host", "redis://:***@host"),
    (Login | None, None, None),
    (SecretStr, "", ""),
]


@pytest.mark.parametrize(("annotation", "value", "shown"), FOUND)
def test_only_fields_that_are_secret_by_their_type_are_masked(annotation: Any, value: Any, shown: Any) -> None:
    assert mask_by_type(annotation, value, "THING") == shown


def test_a_type_alias_that_holds_itself_is_walked() -> None:
    tree = TypeAliasType("tree", "dict[str, tree] | SecretStr")  # type: ignore[misc]  # a name, as `type` would have it
    assert mask_by_type(tree, {"a": PIN}, "THING") == "***"
    assert mask_by_type(dict[str, tree], {"a": PIN}, "THING") == {"a": "***"}


@pytest.mark.parametrize("annotation", [int, str, Any, None, list, dict, Literal["SecretStr"], Open, Box[int]])
def test_other_types_hold_no_secret(annotation: Any) -> None:
    assert not holds_secret(annotation)
