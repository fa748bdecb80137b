"""How the messages of tasks, and their results, are written as JSON: what arrives equals what was sent.

Arguments and results that would not are refused (`opa.tasks.marks`), unless the annotation of the parameter, or of the
result, writes and reads them (`opa.tasks.parameters`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Protocol

from kombu.utils import json as kombu_json

from opa.settings.schema import MAX_TASK_DEPTH
from opa.tasks.marks import (
    PLAIN,
    InexactError,
    TooDeepError,
    TooLargeError,
    Typed,
    exactly,
    loosely,
    named,
    needs_mark,
)

MAX_DEPTH = MAX_TASK_DEPTH + 2
"""Levels that are written at all."""

_ARGUMENTS_LIE_AT = 2
"""An argument stands in the list of arguments, and that in the body of a message."""
_BODY, _EAGER_BODY = 3, 2
"""`[args, kwargs, embed]`, and what Celery writes of a task that runs here and now."""
_SIGNATURE = {"task", "args", "kwargs", "subtask_type"}


class UnfitError(TypeError):
    """A value would not arrive as it is.

    Attributes:
        what: which one: `argument 'a' (set)`.
    """

    def __init__(self, what: str, reason: object) -> None:
        super().__init__(str(reason))
        self.what = what


@dataclass(frozen=True)
class Limits:
    """What the message of a task may hold.

    Attributes:
        bytes: of its body, before it is compressed.
        depth: levels of lists and dicts in an argument.
    """

    bytes: int = 1_048_576
    depth: int = 100


class Parameters(Protocol):
    """What is known of the parameters of a task."""

    def name_of(self, where: int | str) -> str | None:
        """The parameter that an argument belongs to, by its position or its name."""

    def names(self) -> Sequence[str]:
        """All of them, in their order."""

    def write(self, name: str, value: Any) -> Typed:
        """Write what the annotation of a parameter reads; a `TypeError` where it would read something else."""


ParametersOf = Callable[[str], Parameters | None]
"""What is known of the parameters of a task, by its name."""


class Sending:
    """A context in which the message of a task is encoded, within limits.

    Args:
        task: its name.

    Attributes:
        text: what was encoded last; None before that.
    """

    # No generator: it would take a tenth of what sending a small task takes.
    def __init__(self, limits: Limits, task: str = "", parameters_of: ParametersOf = lambda _: None) -> None:
        self.limits = limits
        self.task = task
        self.parameters_of = parameters_of
        self.depth = min(limits.depth, MAX_DEPTH)
        self.text: str | None = None

    def __enter__(self) -> None:
        self._token = _sending.set(self)

    def __exit__(self, *_: object) -> None:
        _sending.reset(self._token)


_sending: ContextVar[Sending | None] = ContextVar("opa_task_sending", default=None)


def encode(value: Any) -> str:
    """`value` as JSON.

    Raises:
        TooLargeError: it is too large, or nested too deeply.
        TypeError: it holds something that would not arrive as it is.
        ValueError: it holds itself, or a number of too many digits.
    """
    sending = _sending.get()
    try:
        marked = loosely(value, MAX_DEPTH) if sending is None else _marked_message(value, sending)
    except TooDeepError as error:
        named = f"TASK_MAX_DEPTH is {sending.limits.depth}" if sending else f"{MAX_DEPTH} is the limit"
        raise TooLargeError(f"{error}, {named}") from None
    text = kombu_json.dumps(marked)
    if sending is not None and len(text) > sending.limits.bytes:
        raise TooLargeError(f"it takes {len(text)} bytes, and TASK_MAX_BYTES is {sending.limits.bytes}")
    if sending is not None:
        sending.text = text
    return text


def written(value: Any, parameters: Parameters | None, name: str | None, depth: int = MAX_DEPTH) -> Any:
    """An argument or a result as JSON that is marked.

    Args:
        value: it is carried by itself, read by the annotation of the parameter, or equals a value that is carried.
        parameters: those of the task; None where the task is not known here.
        name: of the parameter.
        depth: levels that it may have.

    Raises:
        TooDeepError: it has more.
        TypeError: it would not arrive as it is.
    """
    try:
        return exactly(value, depth, or_equal=False)
    except InexactError:
        if parameters is None or name is None:
            return exactly(value, depth, or_equal=True)
    try:
        return exactly(parameters.write(name, value), depth, or_equal=True)
    except (TypeError, ValueError, RecursionError) as unread:
        if isinstance(unread, TooDeepError):
            raise
        with suppress(InexactError):
            return exactly(value, depth, or_equal=True)
        raise


def marked_arguments(
    args: Sequence[Any] | None, kwargs: Mapping[str, Any] | None, task: str, parameters_of: ParametersOf
) -> tuple[list[Any], dict[str, Any]]:
    """The arguments of a task as JSON that is marked.

    Raises:
        UnfitError: one of them would not arrive as it is.
    """
    return _marked_arguments(args, kwargs, task, Sending(Limits(depth=MAX_DEPTH), task, parameters_of))


def _marked_message(value: Any, sending: Sending) -> Any:
    if not isinstance(value, tuple) or len(value) not in (_BODY, _EAGER_BODY):
        return loosely(value, min(sending.depth + _ARGUMENTS_LIE_AT, MAX_DEPTH))
    args, kwargs, *embedded = value
    # Most arguments need no look at each of them.
    if (
        not PLAIN.issuperset(map(type, args or ()))
        or not PLAIN.issuperset(map(type, (kwargs or {}).values()))
        or needs_mark(kwargs or {})
    ):
        args, kwargs = _marked_arguments(args, kwargs, sending.task, sending)
    if embedded and any(embedded[0].values()):
        embedded = [_marked_embedded(embedded[0], sending)]
    return args, kwargs, *embedded


def _marked_arguments(
    args: Sequence[Any] | None, kwargs: Mapping[str, Any] | None, task: str, sending: Sending, *, are_first: bool = True
) -> tuple[list[Any], dict[str, Any]]:
    """Write the arguments of a task with the marks of their types.

    Args:
        are_first: whether no other arguments are put before them when the task is sent.
    """
    parameters = sending.parameters_of(task)

    def write(where: int | str, value: Any) -> Any:
        if type(value) in PLAIN:
            return value
        if parameters is not None and isinstance(where, int) and not are_first:
            return _written_for_any(value, parameters, sending)
        name = None if parameters is None else parameters.name_of(where)
        return _written_argument(value, parameters, name, _shown(where, name, value), sending)

    given = [write(position, value) for position, value in enumerate(args or ())]
    by_name = {_text(name): value for name, value in (kwargs or {}).items()}
    return given, named({name: write(name, value) for name, value in by_name.items()})


def _text(name: Any) -> str:
    if not isinstance(name, str):
        raise UnfitError(f"an argument of the name {name!r} ({type(name).__name__})", "a name is a text")
    return str.__str__(name)  # an enum that is a text has another one for show


def _written_argument(value: Any, parameters: Parameters | None, name: str | None, what: str, sending: Sending) -> Any:
    try:
        return written(value, parameters, name, sending.depth)
    except TooLargeError:
        raise
    except (TypeError, ValueError, RecursionError) as error:
        raise UnfitError(what, error) from error


def _written_for_any(value: Any, parameters: Parameters, sending: Sending) -> Any:
    """An argument of a task that is sent later, when others may stand before it: as one of them that reads it."""
    with suppress(InexactError):
        return exactly(value, sending.depth, or_equal=False)
    for name in parameters.names():
        with suppress(TypeError, RecursionError):  # and not a TooDeepError: it is what there is to say
            return exactly(parameters.write(name, value), sending.depth, or_equal=True)
    return _written_argument(value, None, None, f"an argument ({type(value).__name__})", sending)


def _marked_embedded(value: Any, sending: Sending) -> Any:
    """What is to be sent when the task is done: signatures, whose arguments are those of other tasks."""
    if isinstance(value, list | tuple):
        return [_marked_embedded(item, sending) for item in value]
    if not isinstance(value, dict):
        return loosely(value, sending.depth)
    if needs_mark(value):
        return loosely(value, sending.depth)
    if not value.keys() >= _SIGNATURE:
        return {name: _marked_embedded(item, sending) for name, item in value.items()}
    task: str = value["task"]
    if task.startswith("celery."):  # a chain, a group or a chord: its arguments are signatures
        args, kwargs = _marked_embedded(value["args"], sending), _marked_embedded(value["kwargs"], sending)
    else:
        is_whole = bool(value.get("immutable"))
        args, kwargs = _marked_arguments(value["args"], value["kwargs"], task, sending, are_first=is_whole)
    options = _marked_embedded(value.get("options") or {}, sending)
    return {**value, "args": args, "kwargs": kwargs, "options": options}


def _shown(where: int | str, name: str | None, value: Any) -> str:
    shown = name if name is not None and isinstance(where, int) else where
    return f"argument {f'number {shown + 1}' if isinstance(shown, int) else repr(shown)} ({type(value).__name__})"
