"""What the parameters of a task say of their arguments: annotations write what JSON has not, and read it again.

Pydantic does it, for its models, dataclasses, enums, sets and whatever else it knows, also inside lists and dicts. An
argument is sent only if what is read equals it: anyone who sends it is told, and not the task.
"""

from __future__ import annotations

import inspect
import math
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cached_property, partial
from itertools import product
from types import SimpleNamespace, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel, TypeAdapter
from pydantic_core import to_jsonable_python

from opa.errors import TaskArgumentError
from opa.tasks.codec import MAX_DEPTH, written
from opa.tasks.marks import PLAIN, InexactError, Typed, exactly

RETURN = "return"
"""The name under which the result of a task is annotated."""

_KEPT = "_opa_parameters"


def parameters_of(task: Any) -> Parameters:
    """Those of a task of Celery's."""
    # On the task itself: they hold its function, which may hold the task.
    found: Parameters | None = vars(task).get(_KEPT)
    if found is None:
        found = vars(task)[_KEPT] = Parameters(task.name, task.run)
    return found


def written_result(task: Any, result: Any) -> Any:
    """What a task has returned, as JSON that is marked.

    Raises:
        TypeError: it would not arrive as it is.
    """
    return written(result, parameters_of(task), RETURN)


class Parameters:
    """The parameters of a task, and its result.

    Args:
        task: its name.
        function: what is called for it.
    """

    def __init__(self, task: str, function: Callable[..., Any]) -> None:
        self._task = task
        self._function = function
        self._adapters: dict[str, list[TypeAdapter[Any]]] = {}
        self._unfit: dict[str, str] = {}

    def names(self) -> Sequence[str]:
        """All names, in their order."""
        return list(self._signature)

    def name_of(self, where: int | str) -> str | None:
        """The parameter that an argument belongs to; None where there is none.

        Args:
            where: the position of the argument, or its name.
        """
        if isinstance(where, str):
            named = self._signature.get(where)
            if named is not None and named.kind in (named.POSITIONAL_OR_KEYWORD, named.KEYWORD_ONLY):
                return where
            return self._first(inspect.Parameter.VAR_KEYWORD)
        positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        names = [name for name, parameter in self._signature.items() if parameter.kind in positional]
        return names[where] if where < len(names) else self._first(inspect.Parameter.VAR_POSITIONAL)

    def write(self, name: str, value: Any) -> Typed:
        """Write a value so that the annotation of the parameter reads the same.

        Raises:
            TypeError: it would read something else, or there is none.
        """
        adapters = self._adapters_of(name)
        if not adapters:
            raise InexactError(self._unfit.get(name) or "there is no annotation by which it could be read")
        reason: Exception | None = None
        for (member, adapter), (dump, is_json, keeps_fields_set) in product(enumerate(adapters), WAYS):
            try:
                typed = Typed(self._task, name, dump(adapter, value), is_json, member)
                if _is_same(value, _read(adapter, typed), with_fields_set=keeps_fields_set):
                    return typed
            except Exception as error:  # noqa: BLE001 - validators and serializers are code of a plugin
                reason = error
        shown = f" ({type(reason).__name__})" if reason else ""
        raise InexactError(f"by its annotation it would be read as something else{shown}")

    def read(self, typed: Typed) -> Any:
        """Read what `write` has written.

        Raises:
            TaskArgumentError: the annotation is another one by now, or refuses it.
        """
        adapters = self._adapters_of(typed.name)
        what = "its result" if typed.name == RETURN else f"its argument '{typed.name}'"
        try:
            return _read(adapters[typed.member], typed)
        except IndexError:
            unfit = f": {self._unfit[typed.name]}" if typed.name in self._unfit else ""
            problem = f"task '{self._task}': {what} has no annotation here that reads it{unfit}"
            raise TaskArgumentError(problem) from None
        except Exception as error:
            raise TaskArgumentError(
                f"task '{self._task}': {what} cannot be read by its annotation ({type(error).__name__})",
                hint="The api and the worker may have different versions of the plugin",
            ) from error

    @cached_property
    def _signature(self) -> Mapping[str, inspect.Parameter]:
        try:
            return inspect.signature(self._function).parameters
        except (TypeError, ValueError):
            return {}

    @cached_property
    def annotations(self) -> Mapping[str, Any]:
        """What can be resolved of them; a name that is imported for type checking alone cannot."""
        function = inspect.unwrap(self._function)
        try:
            return get_type_hints(function, include_extras=True)
        except Exception:  # noqa: BLE001 - annotations are code
            given = getattr(function, "__annotations__", {})
            return {name: hint for name, each in given.items() for hint in self._resolved(function, name, each)}

    def _first(self, kind: Any) -> str | None:
        return next((name for name, parameter in self._signature.items() if parameter.kind is kind), None)

    def _adapters_of(self, name: str) -> list[TypeAdapter[Any]]:
        """What reads by the annotation, and then by each member of it where it is a union; none where nothing can."""
        if name not in self.annotations:
            return []  # and nothing is kept: a message may say any name
        if name not in self._adapters:
            annotation = self.annotations[name]
            members = get_args(annotation) if get_origin(annotation) in (Union, UnionType) else ()
            try:
                self._adapters[name] = [TypeAdapter(each) for each in (annotation, *members) if each is not Any]
            except Exception as error:  # noqa: BLE001 - Pydantic raises many kinds for a type that it does not know
                self._unfit[name] = f"its annotation cannot be read by Pydantic: {_told(error)}"
                self._adapters[name] = []
        return self._adapters[name]

    def _resolved(self, function: Any, name: str, annotation: Any) -> Iterator[Any]:
        alone = SimpleNamespace(__annotations__={name: annotation})
        try:
            yield from get_type_hints(alone, getattr(function, "__globals__", {}), include_extras=True).values()
        except Exception as error:  # noqa: BLE001 - annotations are code
            self._unfit[name] = f"its annotation cannot be resolved: {_told(error)}"


def _told(error: Exception) -> str:
    """The first line of it: behind that Pydantic says where to read on."""
    return str(error).partition("\n")[0] or type(error).__name__


def _dump(adapter: TypeAdapter[Any], value: Any, *, exclude_unset: bool = False) -> Any:
    dumped = adapter.dump_python(value, round_trip=True, by_alias=False, exclude_unset=exclude_unset, warnings=False)
    return _plain(dumped)


def _dump_json(adapter: TypeAdapter[Any], value: Any) -> str:
    return adapter.dump_json(value, round_trip=True, by_alias=False, warnings=False).decode()


WAYS: tuple[tuple[Callable[..., Any], bool, bool], ...] = (
    (partial(_dump, exclude_unset=True), False, True),
    (_dump, False, False),
    (_dump_json, True, False),
)
"""How a value is written, whether as JSON, and whether a model knows afterwards which of its fields were set."""


def _read(adapter: TypeAdapter[Any], typed: Typed) -> Any:
    if typed.is_json:
        return adapter.validate_json(typed.value, by_alias=True, by_name=True)
    return adapter.validate_python(typed.value, strict=False, by_alias=True, by_name=True)


def _plain(value: Any) -> Any:
    """What Pydantic has dumped, without what the codec does not carry; the same object where nothing is to be done."""
    if _is_plain(value):
        return value
    if isinstance(value, Enum):
        return _plain(value.value)
    if isinstance(value, dict):
        return {_plain(key): _plain(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return tuple(_plain(item) for item in value)
    if isinstance(value, list | set | frozenset | deque):
        return [_plain(item) for item in value]
    try:
        exactly(value, MAX_DEPTH, or_equal=True)
    except TypeError:
        value = to_jsonable_python(value)
    return value


def _is_plain(value: Any) -> bool:
    """Whether it needs no further look: most do not, and `map` sees it within a fraction of what a loop takes."""
    kind = type(value)
    if kind in (list, tuple):
        return PLAIN.issuperset(map(type, value))
    if kind is dict:
        return PLAIN.issuperset(map(type, value)) and PLAIN.issuperset(map(type, value.values()))
    return kind in PLAIN


def _is_same(first: Any, second: Any, *, with_fields_set: bool) -> bool:
    """Whether two values are equal, and of the same types all the way down."""
    if type(first) is not type(second):
        return False
    return _is_equal(first, second) if type(first) in PLAIN else _has_same(first, second, with_fields_set)


def _has_same(first: Any, second: Any, with_fields_set: bool) -> bool:
    """Whether two values of one type are equal, and what they hold is of the same types."""

    def same(one: Any, other: Any) -> bool:
        return _is_same(one, other, with_fields_set=with_fields_set)

    if isinstance(first, BaseModel):
        return all(map(same, _parts(first), _parts(second))) and (
            not with_fields_set or first.model_fields_set == second.model_fields_set
        )
    if is_dataclass(first):
        return all(same(getattr(first, each.name), getattr(second, each.name)) for each in fields(first))
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(same(item, second[key]) for key, item in first.items())
    if isinstance(first, list | tuple):
        return len(first) == len(second) and all(map(same, first, second))
    return _is_equal(first, second)


def _is_equal(first: Any, second: Any) -> bool:
    return bool(first == second) or (isinstance(first, float) and math.isnan(first) and math.isnan(second))


def _parts(model: BaseModel) -> tuple[Any, ...]:
    # As Pydantic compares them: a cached property keeps its value among the fields.
    known, has = type(model).model_fields, vars(model)
    return {name: has[name] for name in known if name in has}, model.__pydantic_extra__, model.__pydantic_private__
