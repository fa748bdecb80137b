"""`on`, by which a function of a plugin handles events, and what is known of such a function."""

from __future__ import annotations

import functools
import inspect
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any, TypeVar, get_args, get_origin

from fastapi.params import Depends
from pydantic import BaseModel, TypeAdapter, ValidationError

from opa._util.annotations import has_unknown, hints_of
from opa._util.event_patterns import is_pattern
from opa._util.sources import where_is_function
from opa.core.per_use_misfits import is_async
from opa.core.running import current_groups, get_plugins, register
from opa.errors import OpaError
from opa.events.event import Event
from opa.events.names import EVENT_HANDLERS_GROUP, expression
from opa.events.task_handlers import TaskHandler
from opa.tasks.decorator import task

Function = TypeVar("Function", bound=Callable[..., Any])

_MESSAGE = "event_message"
_OF_TASKS_ALONE = ("base", "bind", "name", "schedule", "unique")
_OF_JSON = (dict, list, str, int, float, bool)
_NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


def on(*patterns: str, here: bool = False, **options: Any) -> Callable[[Function], Function]:
    """Have a function of a plugin handle events. The function stays as it is.

    Args:
        patterns: names of events, in which `*` stands for any text.
        here: whether it runs in the process that emits, after the answer to the request, instead of in a worker.
        options: of the task that it is made to, such as `queue`, `max_retries`, `autoretry_for`, `concurrency`.

    Raises:
        OpaError: a pattern is none, an option is of no use for a handler, or the function cannot be called.
        RegistrationError: see `task`.
    """
    if not patterns or not all(map(is_pattern, patterns)):
        wrong = next((f", not {pattern!r}" for pattern in patterns if not is_pattern(pattern)), "")
        raise OpaError(
            f"@on takes names of events, such as 'orders.created' or 'orders.*'{wrong}",
            hint="Write the name in parentheses: @on('orders.created')",
        )

    def add(function: Function) -> Function:
        handler = Handler(function, patterns, here=here)
        wrong = [option for option in options if here or option in _OF_TASKS_ALONE]
        if wrong:
            raise _error(function, f"@on{'(…, here=True)' if here else ''} takes no {', '.join(wrong)}", "Remove it")
        if not here:
            make: Any = task(**{"ignore_result": True, "acks_on_failure_or_timeout": False, **options})
            make(handler.as_task())
        if handler.uri in current_groups().get(EVENT_HANDLERS_GROUP):
            raise _error(function, f"the handler {handler.uri} is there already", "Rename it, or give @on all patterns")
        register(EVENT_HANDLERS_GROUP, uri=handler.uri)(handler)
        return function

    return add


class Handler:
    """A function that handles events.

    Args:
        function: of a plugin.
        patterns: names of events.
        here: whether it runs where they are emitted.

    Attributes:
        function: as it is called.
        patterns: names of events.
        name: of the function with its module, which is that of its task.
        uri: the same in the group of handlers, where a function may stand twice.
        is_async: whether it is an `async def`.
        is_awaited: whether it is one, or a decorator stands before one.

    Raises:
        OpaError: it cannot be called with an event.
    """

    def __init__(self, function: Callable[..., Any], patterns: tuple[str, ...], *, here: bool) -> None:
        yields = inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function)
        if yields or not inspect.isfunction(function):
            raise _error(
                function, "@on is for a def or async def that yields nothing", "Put @on below other decorators"
            )
        self.function = function
        self.here = here
        self.name = f"{function.__module__}.{function.__name__}"
        self.uri = f"{self.name} (here)" if here else self.name
        self.is_async = inspect.iscoroutinefunction(function)
        self.is_awaited = is_async(function)
        # The plugin that is skipped takes its handlers along.
        self.__module__ = function.__module__
        self.patterns = patterns
        self._expression = expression(patterns)
        self._others: list[inspect.Parameter] = []
        self._payload: str | None = None
        self._event: str | None = None
        hints = _hints(function)
        self._read_parameters(hints)
        annotation = hints.get(self._payload or "", Any)
        self._adapter = self._adapter_for(annotation)
        is_model = isinstance(annotation, type) and issubclass(annotation, BaseModel)
        self._kind = annotation if is_model or annotation in _OF_JSON else None

    def _read_parameters(self, hints: Mapping[str, Any]) -> None:
        for parameter in inspect.signature(self.function).parameters.values():
            hint = hints.get(parameter.name, parameter.annotation)
            if parameter.kind not in _NAMED or (self.here and _is_component(parameter, hint)):
                problem = f"a handler of events has the parameter '{parameter}', which it cannot be given"
                raise _error(self.function, problem, "Take the payload and an Event; get_instance() gives a component")
            if _is_component(parameter, hint):
                self._others.append(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY))
            elif has_unknown(hint):
                raise _error(
                    self.function,
                    f"the parameter '{parameter.name}' of a handler of events has the type {parameter.annotation},"
                    " which is not there when the program runs",
                    "Import it at the top of the file, and not below 'if TYPE_CHECKING'; or fix its name",
                )
            elif hint is Event:
                self._event = parameter.name
            elif self._payload is None and parameter.kind is not parameter.KEYWORD_ONLY:
                self._payload = parameter.name
            elif parameter.default is parameter.empty:
                raise _error(
                    self.function,
                    f"a handler of events has the parameter '{parameter}', and nothing is given for it",
                    "Give it a default: the first parameter gets the payload, and one with the annotation Event that",
                )

    @property
    def where(self) -> str:
        """`file:line` of the function."""
        return where_is_function(self.function)

    def takes(self, name: str) -> bool:
        """Whether it handles events of this name."""
        return self._expression.fullmatch(name) is not None

    def arguments(self, event: Event) -> dict[str, Any]:
        """What the function is called with.

        Raises:
            OpaError: the payload does not fit its annotation.
        """
        given: dict[str, Any] = {}
        if self._payload is not None:
            given[self._payload] = self._read(event)
        if self._event is not None:
            given[self._event] = event
        return given

    def check(self, event: Event, emitted: object) -> None:
        """See that it can be called with an event. What is known to fit by its type is not read for it.

        Args:
            event: that is emitted.
            emitted: its payload: JSON, or a model that is the same when it is read.

        Raises:
            OpaError: the payload does not fit its annotation.
        """
        if self._adapter is not None and type(emitted) is not self._kind:
            self._read(event)

    def _read(self, event: Event) -> Any:
        if self._adapter is None:
            return event.payload
        try:
            return self._adapter.validate_json(json.dumps(event.payload), by_alias=True, by_name=True)
        except ValidationError as error:
            # Without what was given, which may be a secret.
            first = error.errors(include_input=False, include_url=False, include_context=False)[0]
            place = ".".join(map(str, first["loc"])) or "it"
            raise OpaError(
                f"the payload of the event '{event.name}' does not fit the handler {self.name}: {place}:"
                f" {first['msg']}",
                where=self.where,
                hint="Emit what its annotation takes, or change that",
            ) from None

    def _adapter_for(self, annotation: Any) -> TypeAdapter[Any] | None:
        if annotation is Any:
            return None
        try:
            return TypeAdapter(annotation)
        except Exception as error:
            problem = (
                f"the annotation of '{self._payload}' cannot be read by Pydantic: {str(error).partition(chr(10))[0]}"
            )
            raise _error(self.function, problem, "Annotate the payload with a model, or with what JSON has") from error

    def as_task(self) -> Callable[..., Any]:
        """The function of its task, which is given the event as JSON."""
        function = self.function
        run: Any
        if self.is_async:

            @functools.wraps(function)
            async def run_async(event_message: dict[str, Any], **given: Any) -> None:
                await function(**self.arguments(Event.from_message(event_message)), **given)

            run = run_async
        else:

            @functools.wraps(function)
            def run_sync(event_message: dict[str, Any], **given: Any) -> Any:
                result = function(**self.arguments(Event.from_message(event_message)), **given)
                return _to_its_end(result) if inspect.isawaitable(result) else None

            run = run_sync
        message = inspect.Parameter(_MESSAGE, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        run.__signature__ = inspect.Signature([message, *self._others])
        made: Callable[..., Any] = run
        return made


def handlers_of(name: str) -> list[Handler | TaskHandler]:
    """Those of the loaded plugins that handle events of this name."""
    return [handler for handler in get_plugins(EVENT_HANDLERS_GROUP).values() if handler.takes(name)]


async def _to_its_end(result: Awaitable[Any]) -> None:
    await result


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    try:
        return hints_of(function)
    except Exception as error:
        raise _error(
            function, f"the annotations of a handler of events cannot be read: {error}", "Import what they name"
        ) from error


def _is_component(parameter: inspect.Parameter, hint: Any) -> bool:
    extras = get_args(hint)[1:] if get_origin(hint) is Annotated else ()
    return any(isinstance(each, Depends) for each in (parameter.default, *extras))


def _error(function: Any, problem: str, hint: str) -> OpaError:
    # Of what is no function, the import says where it is.
    return OpaError(problem, where=where_is_function(function) if inspect.isfunction(function) else None, hint=hint)
