"""Tools that are made of tasks: each sends one, and another says what became of it."""

from __future__ import annotations

import inspect
import json
import math
from collections.abc import Mapping
from typing import Any

from kombu.exceptions import OperationalError
from pydantic import TypeAdapter, ValidationError
from pydantic_core import to_jsonable_python

from opa import ComponentUnavailableError, OpaError, PluginManager, TaskResult, audit, config, mask_text
from opa.plugins.mcp_tools.caller import TASKS, Caller
from opa.plugins.mcp_tools.schemas import arguments_schema, check_names
from opa.plugins.mcp_tools.tool import RESULT_TOOL, Answer, Arguments, Description, Schema, ToolError, UnfitError

DEVELOPER = "development"
"""Who sends a task where nobody has to be known."""
LONGEST_WAIT = 60
LONGEST_RESULT = 100_000
"""Characters of a result; tasks should give small ones."""
_NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
_OVER = frozenset({"SUCCESS", "FAILURE", "REVOKED"})


class TaskTool:
    """A task as a tool that sends it.

    Args:
        manager: the plugins.
        task: its name.
        name: of the tool.

    Raises:
        UnfitError: it can be none.
    """

    def __init__(self, manager: PluginManager, task: str, name: str) -> None:
        self._task: Any = manager.celery.tasks[task]
        self._name = task
        function = manager.tasks.functions()[task]
        signature = manager.celery.signature_of(task)
        if signature is None:
            raise UnfitError("its parameters are not known")
        self._adapters = _adapters(signature, manager.celery.annotations_of(task))
        properties, definitions = _schemas(self._adapters)
        required = []
        for parameter in signature.parameters.values():
            if parameter.default is inspect.Parameter.empty:
                required += [parameter.name] if parameter.name in properties else []
            elif parameter.name in properties:
                properties[parameter.name] |= _default(parameter)
        self.description = Description(
            name=name,
            text=(
                f"{inspect.getdoc(function) or f'Run the task {task}.'}\n\n"
                f"It runs in the background: this gives its id, and {RESULT_TOOL} says what became of it."
            ),
            arguments=arguments_schema(properties, required, definitions),
            made_of=f"task {task}",
        )

    async def call(self, arguments: Arguments, caller: Caller) -> Answer:
        """Send the task.

        Raises:
            ToolError: the caller may not, the arguments are wrong, or it cannot be sent.
        """
        check_scope(caller)
        check_names(arguments, self.description.arguments)
        values = _read(arguments, self._adapters)
        who, kind = (caller.actor.id, caller.actor.kind) if caller.actor else (DEVELOPER, "person")
        try:
            sent = await self._task.send_with({"headers": {"actor": who, "actor_kind": kind}}, **values)
        except OperationalError as error:
            raise ToolError("the broker does not answer, so that nothing was sent; try again later") from error
        except OpaError as error:
            raise ToolError(mask_text(str(error))) from error
        audit("tasks.run", who=who, request=caller.request, task=self._name, id=sent.id)
        content = {"id": sent.id, "state": "PENDING"}
        return Answer(json.dumps(content), content)


class ResultTool:
    """The tool that says what became of a task.

    Args:
        manager: the plugins.
        tasks: the names of the tasks that are tools.
    """

    def __init__(self, manager: PluginManager, tasks: frozenset[str]) -> None:
        self._manager = manager
        self._tasks = tasks
        properties: dict[str, Schema] = {
            "id": {"type": "string", "description": "what the call has given that has sent the task"},
            "wait": {
                "type": "number",
                "minimum": 0,
                "maximum": LONGEST_WAIT,
                "default": 0,
                "description": "seconds for which to wait for the end",
            },
        }
        self.description = Description(
            name=RESULT_TOOL,
            text="Say what became of a task that was sent.\n\nGives its state, and its result or its error at the end.",
            arguments=arguments_schema(properties, ["id"], {}),
            made_of="tasks",
            reads_only=True,
            may_be_repeated=True,
        )

    async def call(self, arguments: Arguments, caller: Caller) -> Answer:
        """Say it.

        Raises:
            ToolError: the caller may not ask, nobody knows the task, or what would know does not answer.
        """
        check_scope(caller)
        check_names(arguments, self.description.arguments)
        task_id, wait = _asked_for(arguments)
        try:
            await self._check_known(task_id)
            found = await self._found(task_id, wait)
        except (ComponentUnavailableError, OpaError) as error:
            raise ToolError(mask_text(str(error))) from error
        except (OperationalError, OSError) as error:
            raise ToolError("what keeps the results does not answer; try again later") from error
        text = json.dumps(found, ensure_ascii=False)
        return Answer(text, found)

    async def _check_known(self, task_id: str) -> None:
        """See that it is a run of one of the tools' tasks, where that is recorded.

        Raises:
            ToolError: it is not.
        """
        if not config.RUNS or "aioredis" not in self._manager.optional_components:
            return
        from opa.plugins.task_runs.reader import reader_of  # only where runs are recorded

        run = await reader_of(self._manager).get(task_id)
        if run is not None and run.task not in self._tasks:
            raise ToolError(f"nobody knows a task {task_id}")

    async def _found(self, task_id: str, wait: float) -> dict[str, Any]:
        result: TaskResult[Any] = TaskResult(self._manager.celery.AsyncResult(task_id))
        state = await result.state()
        if state == "UNKNOWN":
            raise ToolError(f"nobody knows a task {task_id}")
        found: dict[str, Any] = {"id": task_id, "state": state}
        if state not in _OVER and not wait:
            return found
        try:
            value = await result.get(timeout=wait or 5)
        except TimeoutError as error:
            if await result.state() not in _OVER:
                return {"id": task_id, "state": await result.state()}
            failure: Exception = error
        except OpaError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever the task has raised
            failure = error
        else:
            return {"id": task_id, "state": "SUCCESS", "result": _shown(value)}
        state = await result.state()
        return {"id": task_id, "state": state, "error": mask_text(f"{type(failure).__name__}: {failure}"[:5000])}


def check_scope(caller: Caller) -> None:
    """See that the caller may use tasks.

    Raises:
        ToolError: the scope is missing.
    """
    if not caller.may_send_tasks:
        raise ToolError(f"status 403: the scope {TASKS} is missing")


def _asked_for(arguments: Arguments) -> tuple[str, float]:
    task_id, wait = arguments["id"], arguments.get("wait", 0)
    if not isinstance(task_id, str) or not 0 < len(task_id) <= 200 or not task_id.isprintable():
        raise ToolError("id: is not what a call has given that has sent a task")
    is_number = isinstance(wait, int | float) and not isinstance(wait, bool)
    if not is_number or not math.isfinite(wait) or not 0 <= wait <= LONGEST_WAIT:
        raise ToolError(f"wait: is not a number of seconds from 0 to {LONGEST_WAIT}")
    return task_id, float(wait)


def _adapters(signature: inspect.Signature, hints: Mapping[str, Any]) -> dict[str, TypeAdapter[Any]]:
    """What reads each argument.

    Raises:
        UnfitError: nothing reads one of them.
    """
    found: dict[str, TypeAdapter[Any]] = {}
    for name, parameter in signature.parameters.items():
        if parameter.kind in _NAMED:
            if parameter.annotation is not parameter.empty and name not in hints:
                raise UnfitError(f"its parameter {name} has a type that is not there when the program runs")
            try:
                found[name] = TypeAdapter(hints.get(name, Any))
            except Exception as error:
                raise UnfitError(f"its parameter {name} cannot be read by Pydantic: {_first_line(error)}") from error
        elif parameter.kind is inspect.Parameter.POSITIONAL_ONLY:
            raise UnfitError(f"its parameter {name} has no name that a caller can use")
    return found


def _schemas(adapters: Mapping[str, TypeAdapter[Any]]) -> tuple[dict[str, Schema], dict[str, Schema]]:
    """The JSON schema of each parameter, and the definitions that they refer to.

    Raises:
        UnfitError: one of them has none.
    """
    try:
        schemas, rest = TypeAdapter.json_schemas([(name, "validation", each) for name, each in adapters.items()])
    except Exception as error:
        raise UnfitError(f"a parameter has no JSON schema: {_first_line(error)}") from error
    return {name: dict(schema) for (name, _), schema in schemas.items()}, dict(rest.get("$defs", {}))


def _default(parameter: inspect.Parameter) -> Schema:
    try:
        value = to_jsonable_python(parameter.default)
    except Exception:  # noqa: BLE001 - it may be anything, and the function has it anyway
        return {}
    text = f"{parameter.name}={value}"
    return {} if mask_text(text) != text else {"default": value}


def _read(arguments: Arguments, adapters: Mapping[str, TypeAdapter[Any]]) -> dict[str, Any]:
    """The arguments as the function takes them.

    Raises:
        ToolError: its annotations do not read them.
    """
    values, mistakes = {}, []
    for name, value in arguments.items():
        try:
            values[name] = adapters[name].validate_json(json.dumps(value))
        except ValidationError as error:
            mistakes += [
                f"{'.'.join(map(str, (name, *each['loc'])))}: {each['msg'][:300]}"
                for each in error.errors(include_url=False, include_input=False, include_context=False)
            ]
        except ValueError as error:
            mistakes.append(f"{name}: {error}")
    if mistakes:
        raise ToolError(mask_text("the arguments are wrong\n" + "\n".join(mistakes[:20])))
    return values


def _shown(value: Any) -> Any:
    """A result as JSON, with secrets masked; a text where it is long, or is none any more when they are."""
    try:
        text = json.dumps(to_jsonable_python(value), ensure_ascii=False)
    except Exception:  # noqa: BLE001 - it may be anything
        text = repr(value)
    masked = mask_text(text)
    if len(masked) > LONGEST_RESULT:
        return masked[:LONGEST_RESULT] + "…"
    try:
        return json.loads(masked)
    except ValueError:
        return masked


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0] or type(error).__name__
