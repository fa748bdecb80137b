"""What someone wrote for a plugin's settings, in the form that its model asks for.

Variables know neither upper and lower case nor types: `123456` is a number, or a password; `a,b` a text, or a list. The
model says which, so each value has some readings, and that one is taken with which the model is content.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any, NamedTuple, Union

from pydantic import AliasChoices, AliasPath, BaseModel, Secret, ValidationError
from pydantic.fields import FieldInfo

from opa._util.masking.models import as_in_variable, fields_of, is_class, is_model, resolved
from opa.settings.field_types import split_list

Path = tuple[str | int, ...]
_SEQUENCES = (list, tuple, set, frozenset, deque)
_NONE = ("", "null", "none")


class Reading:
    """A value that can be read in more than one way; `chosen` is the number of the one that is tried."""

    chosen = 0
    is_given_up = False

    def __init__(self, path: Path, ways: list[Any]) -> None:
        self.path = path
        self.ways = ways


class PluginValues:
    """The values of a plugin by the names of its model.

    Attributes:
        values: plain dicts, lists and scalars.
        origins: how the path of each was written.
        readings: those of them that can be read in more than one way.
    """

    def __init__(self, values: Any) -> None:
        self.values = values
        self.origins: dict[Path, Path] = {}
        self.readings: list[Reading] = []

    def validated(self, model: type[BaseModel]) -> BaseModel:
        """What `model` makes of the values.

        Raises:
            ValidationError: it is content with no reading; `values` has the first ones of those that are wrong.
        """
        holders = [_look_up(self.values, reading.path[:-1]) for reading in self.readings]
        while True:
            try:
                # A validator of the plugin's may change what it is given.
                return model.model_validate(_copy(self.values))
            except ValidationError as error:
                places = [detail["loc"] for detail in error.errors(include_url=False, include_context=False)]
                changed = self._read_otherwise({path for place in places for path in self._paths_to(place)})
                if not changed:
                    raise
            for at in changed:
                reading = self.readings[at]
                holders[at][reading.path[-1]] = reading.ways[reading.chosen]

    def _read_otherwise(self, wrong: Collection[Path]) -> list[int]:
        """Go on to the next reading of what is wrong; the numbers of those where there was one."""
        changed = [at for at, reading in enumerate(self.readings) if not reading.is_given_up and reading.path in wrong]
        for at in changed:
            reading = self.readings[at]
            reading.chosen += 1
            if reading.chosen == len(reading.ways):
                reading.chosen, reading.is_given_up = 0, True
        return changed

    def _paths_to(self, place: Path) -> Iterator[Path]:
        """The paths that lead to the place of an error, which also has the members of unions that were tried."""
        value = self.values
        path: Path = ()
        for part in place:
            if _has(value, part):
                value, path = value[part], (*path, part)
                yield path


def plugin_values(
    model: type[BaseModel], values: Mapping[Any, Any], text_of: Callable[[Path], str | None]
) -> PluginValues:
    """The values by the names of `model`, whose case does not matter, nor whether it is a field's name or its alias.

    Args:
        model: of the plugin's settings.
        values: as they were written.
        text_of: gives the text of the variable that the value at a path came from; None for one from a file.
    """
    found = PluginValues({})
    found.values = _Reader(found, text_of).read(model, values, (), ())
    return found


class _Reader(NamedTuple):
    found: PluginValues
    text_of: Callable[[Path], str | None]

    def read(self, annotation: Any, value: Any, path: Path, written: Path) -> Any:
        self.found.origins[path] = written
        kinds = list(_kinds_of(annotation))
        if isinstance(value, Mapping) and any(_is_mapping(kind) for kind, _ in kinds):
            return self._read_mapping(kinds, value, path, written)
        if isinstance(value, list):
            inner = next((arguments[0] for kind, arguments in kinds if _is_sequence(kind) and arguments), Any)
            value = [self.read(inner, item, (*path, at), (*written, at)) for at, item in enumerate(value)]
        ways = [
            _Reader(PluginValues({}), lambda _: None).read(annotation, way, path, written)
            if isinstance(way, Mapping) and way is not value
            else way
            for way in _ways_to_read(kinds, value, self.text_of(written))
        ]
        if len(ways) > 1:
            self.found.readings.append(Reading(path, ways))
        return ways[0]

    def _read_mapping(self, kinds: list[_Kind], value: Mapping[Any, Any], path: Path, written: Path) -> dict[Any, Any]:
        names: dict[str, tuple[str, Any]] = {}
        spellings = [each for kind, _ in kinds for each in _names_in(kind)]
        for spelling, name, annotation in spellings:
            names.setdefault(spelling.lower(), (name, annotation))
        for spelling, name, annotation in spellings:
            names.setdefault(as_in_variable(spelling), (name, annotation))
        item_type = next((types[1] for kind, types in kinds if is_class(kind, Mapping) and len(types) == 2), Any)
        # Not `in value`: what dynaconf gives has every key in every case.
        written_names, read = set(value.keys()), dict[Any, Any]()
        for key, item in value.items():
            name, annotation = names.get(str(key).lower(), (key, item_type))
            # One that is there under two names stays as it is, and is a mistake.
            name = key if name in read or (name != key and name in written_names) else name
            read[name] = self.read(annotation, item, (*path, name), (*written, key))
        return read


_Kind = tuple[Any, tuple[Any, ...]]


def _kinds_of(annotation: Any) -> Iterator[_Kind]:
    """The classes that a value of this type may have, with their arguments; those inside of `Union` and `Secret`."""
    kind, arguments = resolved(annotation)
    if kind is Union:
        for argument in arguments:
            yield from _kinds_of(argument)
    elif is_class(kind, Secret) and arguments:
        yield from _kinds_of(arguments[0])
    elif is_model(kind) and kind.__pydantic_root_model__:
        yield from _kinds_of(kind.model_fields["root"].annotation)
    else:
        yield kind, arguments


def _is_mapping(kind: Any) -> bool:
    return is_class(kind, Mapping) or is_model(kind) or bool(fields_of(kind))


def _is_sequence(kind: Any) -> bool:
    if is_class(kind, str, bytes, Mapping):
        return False
    return is_class(kind, *_SEQUENCES) or (is_class(kind, Iterable) and kind.__module__ == "collections.abc")


def _ways_to_read(kinds: list[_Kind], value: Any, text: str | None) -> Iterator[Any]:
    """The readings of a value, the likeliest first.

    Args:
        kinds: what it may be.
        value: what it was taken for.
        text: of the variable, where it comes from one.
    """
    some = [kind for kind, _ in kinds if kind is not type(None)]
    is_sequence, is_mapping = any(map(_is_sequence, some)), any(map(_is_mapping, some))
    if text is not None and not isinstance(value, str):
        # A number in a text would lose zeros, and "true" its letters.
        is_scalar = len(some) == 1 and some[0] is not Any and not is_sequence and not is_mapping
        yield from (text, value) if is_scalar else (value, text)
    else:
        text = value if isinstance(value, str) else None
        yield value
    if text is None:
        return
    if text.lstrip().startswith(("[", "{")):
        if is_sequence or is_mapping:
            yield from _from_json(text)
    elif is_sequence:
        yield split_list(text)
    if len(some) < len(kinds) and text.strip().lower() in _NONE:
        yield None


def _from_json(text: str) -> Iterator[Any]:
    try:
        yield json.loads(text)
    except (ValueError, RecursionError):
        return


def _names_in(kind: Any) -> Iterator[tuple[str, str, Any]]:
    """Each way to write the name of a field, what the model takes for it, and the type."""
    if not is_model(kind):
        for name, annotation in fields_of(kind).items():
            yield name, name, annotation
        return
    for its in kind.model_fields.values():
        for alias in _aliases_of(its):
            yield alias, alias, its.annotation
    for name, its in kind.model_fields.items():
        yield name, next(_aliases_of(its), name), its.annotation


def _aliases_of(its: FieldInfo) -> Iterator[str]:
    alias = its.validation_alias or its.alias
    for choice in alias.choices if isinstance(alias, AliasChoices) else [alias]:
        if isinstance(choice, str):
            yield choice
        elif isinstance(choice, AliasPath) and len(choice.path) == 1:
            yield str(choice.path[0])


def _has(value: Any, part: str | int) -> bool:
    if isinstance(value, list):
        return isinstance(part, int) and part < len(value)
    return isinstance(value, Mapping) and part in value


def _look_up(value: Any, path: Path) -> Any:
    for part in path:
        value = value[part]
    return value


def _copy(value: Any) -> Any:
    if type(value) is dict:
        return {key: _copy(item) for key, item in value.items()}
    return [_copy(item) for item in value] if type(value) is list else value
