"""Texts such as `report:{id}`, whose fields are parameters of a task: the same is what gives one text."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from string import Formatter
from typing import Any

from pydantic import BaseModel
from pydantic_core import to_jsonable_python

MAX_LENGTH = 100
"""Characters of a text in a key of redis; of longer ones the hash stands there."""

_UNSAFE = re.compile(r"[^A-Za-z0-9_.@]")


@dataclass(frozen=True)
class Template:
    """A text with fields.

    Attributes:
        text: as it was written.
        fields: the names of its parameters, in their order.
    """

    text: str
    fields: tuple[str, ...]

    @classmethod
    def parse(cls, text: object, parameters: Collection[str] | None) -> Template:
        """Read a template.

        Args:
            parameters: of the task; None where they cannot be told.

        Raises:
            ValueError: it is none, or has a field that is no parameter; the message says which, and what there is.
        """
        if not isinstance(text, str) or not text:
            raise ValueError('should be a text such as "report:{id}"')
        try:
            parts = list(Formatter().parse(text))
        except ValueError as error:
            raise ValueError(f"cannot be read: {error}") from None
        fields = []
        for _, field, spec, conversion in parts:
            if field is None:
                continue
            if not field.isidentifier() or spec or conversion:
                shown = f"{field}{f'!{conversion}' if conversion else ''}{f':{spec}' if spec else ''}"
                raise ValueError(
                    f"has the field {{{shown}}}, and a field is the plain name of a parameter, without attributes, "
                    "items, conversions and formats"
                )
            if parameters is not None and field not in parameters:
                known = ", ".join(parameters) or "none"
                raise ValueError(f"has the field {{{field}}}, which is not a parameter of the task; it has {known}")
            fields.append(field)
        return cls(text, tuple(fields))

    def render(self, arguments: Mapping[str, Any]) -> str:
        """The text for these arguments, as a part of a key: printable, and of bounded length.

        Args:
            arguments: of the task by name, those that were left out with their defaults.
        """
        values = {field: _text_of(arguments[field]) for field in self.fields}
        shown = "".join(
            literal + ("" if field is None else _UNSAFE.sub(_percent_encoded, values[field]))
            for literal, field, _, _ in Formatter().parse(self.text)
        )
        is_short = len(shown) <= MAX_LENGTH and shown.isprintable()
        if is_short and len(self.fields) <= 1:
            return shown
        # Two fields may give one text for other pairs of values: "{a}{b}" with 1 and 23, and with 12 and 3.
        whole = json.dumps([self.text, [values[field] for field in self.fields]]).encode()
        digest = f"#{blake2b(whole, digest_size=16).hexdigest()}"
        return f"{shown}{digest}" if is_short else digest


def _percent_encoded(found: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in found[0].encode(errors="surrogatepass"))


def _text_of(value: Any) -> str:
    """What a value is compared by: its text, or else its JSON."""
    plain = to_jsonable_python(_ordered(value), fallback=repr, by_alias=False, bytes_mode="base64")
    return plain if isinstance(plain, str) else json.dumps(plain, sort_keys=True)


def _ordered(value: Any) -> Any:
    """The same with lists in the place of sets, which have another order in each process."""
    if isinstance(value, set | frozenset):
        return sorted(map(_text_of, value))
    if isinstance(value, list | tuple):
        return [_ordered(each) for each in value]
    if isinstance(value, Mapping):
        return {key: _ordered(each) for key, each in value.items()}
    if isinstance(value, BaseModel):
        return {name: _ordered(each) for name, each in value}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _ordered(getattr(value, field.name)) for field in dataclasses.fields(value)}
    return value
