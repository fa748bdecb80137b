"""Which parts of a value its Pydantic model says are secret, wherever they are nested in it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from types import UnionType
from typing import Annotated, Any, ForwardRef, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from pydantic import AliasChoices, AliasPath, BaseModel, Secret, SecretBytes, SecretStr
from pydantic.fields import FieldInfo

from opa._util.masking.secrets import MASK, mask_setting

_SECRETS = (Secret, SecretStr, SecretBytes)
_COLLECTIONS = (list, tuple, set, frozenset)


def mask_by_type(annotation: Any, value: Any, name: str) -> Any:
    """A copy of `value`, as it came from the settings, that may be shown.

    Masked is what the type says is secret, what a name or a shape says is, and whatever has not the form that a type
    with secrets in it asks for: a text in place of a model may be the secret itself.

    Args:
        annotation: a model, or any type that a field may have.
        value: plain dicts, lists and scalars, right or wrong.
        name: its dotted name.
    """
    if value is None or isinstance(value, bool) or value in ("", b""):
        return value
    kind, arguments = resolved(annotation)
    if _is_secret(kind):
        return MASK
    if not holds_secret(annotation):
        return mask_setting(name, value)
    if kind is Union:
        return _masked_by_each(arguments, value, name)
    return _masked_by_form(kind, arguments, value, name)


def _masked_by_each(alternatives: tuple[Any, ...], value: Any, name: str) -> Any:
    """Masked is what one of the alternatives says is secret."""
    if isinstance(value, Mapping):
        with_fields = [kind for kind, _ in map(resolved, alternatives) if _is_plain_model(kind) or fields_of(kind)]
        if with_fields:
            value = _masked_fields(value, name, lambda key: [at for kind in with_fields for at in _types_at(kind, key)])
            mappings = (list, tuple, set, frozenset, str, int, float, *_SECRETS, *with_fields)
            alternatives = tuple(one for one in alternatives if not is_class(resolved(one)[0], *mappings))
    for alternative in alternatives:
        value = mask_by_type(alternative, value, name)
    return value


def _masked_by_form(kind: Any, arguments: tuple[Any, ...], value: Any, name: str) -> Any:  # noqa: PLR0911  a form each
    if is_model(kind) and kind.__pydantic_root_model__:
        return mask_by_type(kind.model_fields["root"].annotation, value, name)
    fields = fields_of(kind)
    if (is_model(kind) or (fields and not arguments)) and isinstance(value, Mapping):
        return _masked_fields(value, name, lambda key: _types_at(kind, key))
    if fields:
        if _is_named_tuple(kind) and isinstance(value, list | tuple) and len(value) <= len(fields):
            return [mask_by_type(field, item, name) for field, item in zip(fields.values(), value, strict=False)]
        return MASK
    if is_class(kind, Mapping) and isinstance(value, Mapping) and len(arguments) == 2:
        key_type, item_type = arguments
        return {
            MASK if holds_secret(key_type) else key: mask_by_type(item_type, item, f"{name}.{key}")
            for key, item in value.items()
        }
    if is_class(kind, tuple) and isinstance(value, _COLLECTIONS) and arguments and arguments[-1] is not Ellipsis:
        items = list(value)
        shown = [mask_by_type(item_type, item, name) for item_type, item in zip(arguments, items, strict=False)]
        return shown + [MASK] * (len(items) - len(shown))
    if isinstance(value, _COLLECTIONS) and arguments and not is_class(kind, Mapping):
        return [mask_by_type(arguments[0], item, name) for item in value]
    return MASK


Inside = tuple[tuple[str | int, ...], Any]
"""Where inside of a key's value a type holds, mostly at the value itself, and the type."""


def _masked_fields(value: Mapping[Any, Any], name: str, types_at: Callable[[str], list[Inside]]) -> dict[Any, Any]:
    shown = {}
    for key, item in value.items():
        types = types_at(str(key))
        # In a model with secrets an unknown key is mostly the misspelt name of one.
        masked = item if types else MASK
        for path, annotation in types:
            masked = _masked_at(path, annotation, masked, f"{name}.{key}")
        shown[key] = masked
    return shown


def _masked_at(path: tuple[str | int, ...], annotation: Any, value: Any, name: str) -> Any:
    if not path:
        return mask_by_type(annotation, value, name)
    first, *rest = path
    if isinstance(value, Mapping):
        return {
            key: _masked_at(tuple(rest), annotation, item, f"{name}.{key}")
            if key == first
            else mask_setting(name, item)
            for key, item in value.items()
        }
    if isinstance(value, list) and isinstance(first, int) and -len(value) <= first < len(value):
        value = list(value)
        value[first] = _masked_at(tuple(rest), annotation, value[first], name)
        return value
    return MASK if holds_secret(annotation) else value


def _types_at(kind: Any, key: str) -> list[Inside]:
    """The types of the fields that take their value from `key`, or from something inside of it."""
    if not is_model(kind):
        return [((), field) for name, field in fields_of(kind).items() if as_in_variable(name) == as_in_variable(key)]
    return [
        (path, field.annotation)
        for field_name, field in kind.model_fields.items()
        for first, path in _names_of(field_name, field)
        if as_in_variable(first) == as_in_variable(key)
    ]


def as_in_variable(name: str) -> str:
    """A name as a variable can have it, in which there are neither small letters nor dashes, in lower case."""
    return str(name).lower().replace("-", "_")


def _names_of(name: str, field: FieldInfo) -> Iterator[tuple[str, tuple[str | int, ...]]]:
    yield name, ()
    for alias in (field.alias, field.validation_alias):
        for choice in alias.choices if isinstance(alias, AliasChoices) else [alias]:
            if isinstance(choice, AliasPath):
                yield str(choice.path[0]), tuple(choice.path[1:])
            elif choice is not None:
                yield choice, ()


def holds_secret(annotation: Any, seen: frozenset[int] = frozenset()) -> bool:
    """Whether something in a value of this type is secret.

    Args:
        annotation: a model, or any type that a field may have.
        seen: the identities of those in which this one was found, since a type may hold itself.
    """
    if id(annotation) in seen:
        return False
    seen |= {id(annotation)}
    kind, arguments = resolved(annotation)
    if id(kind) in seen and kind is not annotation:
        return any(holds_secret(argument, seen) for argument in arguments)
    seen |= {id(kind)}
    if _is_secret(kind) or any(holds_secret(argument, seen) for argument in arguments):
        return True
    if is_model(kind):
        return any(holds_secret(field.annotation, seen) for field in kind.model_fields.values())
    return any(holds_secret(field, seen) for field in fields_of(kind).values())


def resolved(annotation: Any) -> tuple[Any, tuple[Any, ...]]:
    """The class behind an annotation and its arguments; `Union` for each way to write one."""
    while True:
        origin = get_origin(annotation)
        if origin is Annotated:
            annotation = get_args(annotation)[0]
        elif hasattr(annotation, "__supertype__"):  # NewType
            annotation = annotation.__supertype__
        elif hasattr(annotation, "__value__"):  # a `type` statement
            annotation = annotation.__value__
        elif isinstance(annotation, TypeVar):
            if not annotation.__constraints__:
                annotation = annotation.__bound__ or Any
                continue
            return Union, annotation.__constraints__
        else:
            break
    if origin in (Union, UnionType):
        return Union, get_args(annotation)
    if origin is Literal:
        return Literal, ()
    if hasattr(origin, "__value__"):  # a generic `type` statement
        return Union, (origin.__value__, *get_args(annotation))
    if str(origin) in _QUALIFIERS:
        return resolved(get_args(annotation)[0])
    return origin or annotation, get_args(annotation)


_QUALIFIERS = frozenset(
    f"{module}.{name}"
    for module in ("typing", "typing_extensions")
    for name in ("Required", "NotRequired", "ReadOnly", "Final", "ClassVar")
)


def _is_secret(kind: Any) -> bool:
    if isinstance(kind, str | ForwardRef):  # nobody could find what it names
        return "Secret" in str(kind)
    return is_class(kind, *_SECRETS)


def is_class(kind: Any, *classes: type) -> bool:
    return isinstance(kind, type) and issubclass(kind, classes)


def is_model(kind: Any) -> bool:
    return is_class(kind, BaseModel)


def _is_plain_model(kind: Any) -> bool:
    return is_model(kind) and not kind.__pydantic_root_model__


def _is_named_tuple(kind: Any) -> bool:
    return is_class(kind, tuple) and hasattr(kind, "_fields")


def fields_of(kind: Any) -> dict[str, Any]:
    """The types of the fields of a dataclass, a TypedDict or a named tuple; none of anything else."""
    if not isinstance(kind, type) or not (
        dataclasses.is_dataclass(kind) or hasattr(kind, "__total__") or _is_named_tuple(kind)
    ):
        return {}
    try:
        return get_type_hints(kind, include_extras=True)
    except NameError:  # a type that is known only where the class was made
        return dict(kind.__annotations__)
