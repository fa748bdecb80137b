"""A span for each task that is sent, and for each time that it runs, by the signals of Celery.

OpenTelemetry's own instrumentation does not fit. It makes the span of a send the current one and ends it when the
message is out: where the broker refuses that, or the name is of a task that is not in this process, it stays the
current one, and whatever the process does afterwards belongs to it. A retry is a part of the run before it there,
and so deeper each time; here all runs belong to the send, and each has a link to the run before it.
"""

from __future__ import annotations

import sys
from contextvars import ContextVar, Token
from dataclasses import dataclass
from typing import Any

from celery import signals
from opentelemetry import context, propagate, trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, Span, SpanKind, StatusCode

from opa import get_plugin_manager, get_request_id, log

_tracer = trace.get_tracer("opa.plugins.tracing")
_PREVIOUS = "opa_trace_previous"
"""Header of a message that is sent by a retry: the span of the run that has asked for it."""


class _Send:
    """The span of a send. Where the message never leaves, nobody says so; then it ends with whoever sent it."""

    def __init__(self, span: Span) -> None:
        self._span = span
        self._has_ended = False

    def end(self) -> None:
        self._has_ended = True
        self._span.end()

    def __del__(self) -> None:
        if not self._has_ended:
            self._span.set_status(StatusCode.ERROR, "not sent")
            self._span.end()


@dataclass(frozen=True)
class _Run:
    """A run of a task: its span, and what that belongs to."""

    task_id: str
    span: Span
    parent: Context
    token: Token[Context]


_OTHERS = "opentelemetry.instrumentation.celery"

_send: ContextVar[_Send | None] = ContextVar("opa_tracing_send", default=None)
_run: ContextVar[_Run | None] = ContextVar("opa_tracing_run", default=None)


def connect() -> None:
    """From now on, in this process and those that it forks; not where something else makes a span of each already."""
    if _are_traced_already():
        log.info(
            "tasks are traced by opentelemetry-instrumentation-celery, and so not by opa-stack (For spans with plugin"
            " and request id: OTEL_PYTHON_DISABLED_INSTRUMENTATIONS=celery)"
        )
        return
    for signal, receiver in (
        (signals.before_task_publish, _before_send),
        (signals.after_task_publish, _after_send),
        (signals.task_prerun, _before_run),
        (signals.task_postrun, _after_run),
        (signals.task_failure, _failed),
        (signals.task_retry, _retried),
    ):
        signal.connect(receiver, weak=False, dispatch_uid=f"{__name__}.{receiver.__name__}")


def _are_traced_already() -> bool:
    """Whether opentelemetry-instrument, or a plugin, has turned on OpenTelemetry's own instrumentation of Celery."""
    others: Any = sys.modules.get(_OTHERS)
    return others is not None and bool(others.CeleryInstrumentor().is_instrumented_by_opentelemetry)


def _before_send(
    sender: str = "", headers: Any = None, routing_key: str | None = None, exchange: Any = None, **_: Any
) -> None:
    if not headers or "id" not in headers:
        return
    run = _run.get()
    if run is not None and run.task_id == headers["id"]:  # a retry
        propagate.inject(headers, run.parent)
        found = run.span.get_span_context()
        headers[_PREVIOUS] = f"{trace.format_trace_id(found.trace_id)}-{trace.format_span_id(found.span_id)}"
        return
    headers.pop(_PREVIOUS, None)
    span = _tracer.start_span(f"send {sender}", kind=SpanKind.PRODUCER)
    if span.is_recording():
        span.set_attributes(_attributes(sender, headers["id"], "send", sender, get_request_id()))
        # RabbitMQ's default exchange has the name of the queue as its key.
        destination = routing_key or getattr(exchange, "name", None) or exchange
        if isinstance(destination, str) and destination:
            span.set_attribute("messaging.destination.name", destination)
        if isinstance(schedule := headers.get("schedule"), str):
            span.set_attribute("opa.schedule", schedule)
    propagate.inject(headers, trace.set_span_in_context(span))
    _send.set(_Send(span))


def _after_send(**_: Any) -> None:
    send = _send.get()
    if send is not None:
        _send.set(None)
        send.end()


def _before_run(task_id: str = "", task: Any = None, **_: Any) -> None:
    request = task.request
    carrier = {
        name: value
        for name in propagate.get_global_textmap().fields
        if isinstance(value := _header(request, name), str)
    }
    # What a thread did before is nothing that the task belongs to; one that runs where it is sent is inside of that.
    parent = propagate.extract(carrier, None if request.is_eager else Context())
    links = [Link(previous)] if (previous := _previous(_header(request, _PREVIOUS))) is not None else []
    span = _tracer.start_span(f"run {task.name}", context=parent, kind=SpanKind.CONSUMER, links=links)
    if span.is_recording():
        span.set_attributes(
            _attributes(task.name, task_id, "process", type(task).__module__, _header(request, "request_id"))
        )
        span.set_attribute("opa.task.retries", request.retries or 0)
        queue = (request.delivery_info or {}).get("routing_key")
        if isinstance(queue, str) and queue:
            span.set_attribute("messaging.destination.name", queue)
        if isinstance(request.hostname, str):
            span.set_attribute("opa.worker", request.hostname)
    token = context.attach(trace.set_span_in_context(span, parent))
    _run.set(_Run(task_id, span, parent, token))


def _after_run(task_id: str = "", state: str | None = None, **_: Any) -> None:
    run = _run.get()
    if run is None or run.task_id != task_id:
        return
    _run.set(None)
    if isinstance(state, str):
        run.span.set_attribute("opa.task.state", state)
    run.span.end()
    context.detach(run.token)


def _failed(task_id: str = "", exception: BaseException | None = None, **_: Any) -> None:
    run = _run.get()
    if run is None or run.task_id != task_id or not run.span.is_recording():
        return
    if exception is not None:
        run.span.record_exception(exception)
        run.span.set_attribute("error.type", type(exception).__qualname__)
    run.span.set_status(StatusCode.ERROR)


def _retried(request: Any = None, reason: Any = None, **_: Any) -> None:
    run = _run.get()
    if run is not None and request is not None and run.task_id == request.id and run.span.is_recording():
        run.span.add_event("retry", {"reason": str(reason)})


def _attributes(task: str, task_id: str, operation: str, module: str, request_id: Any) -> dict[str, str]:
    """Those of a send and of a run; `module` is that of the task, or a name in it."""
    attributes = {
        "messaging.operation.type": operation,
        "messaging.message.id": task_id,
        "opa.task": task,
    }
    plugin = get_plugin_manager().plugin_of_module(module)
    if plugin is not None:
        attributes["opa.plugin"] = plugin
    if isinstance(request_id, str):
        attributes["opa.request_id"] = request_id
    return attributes


def _header(request: Any, name: str) -> Any:
    value = getattr(request, name, None)
    return value if value is not None else (request.headers or {}).get(name)


def _previous(text: Any) -> trace.SpanContext | None:
    """The span that a retry has named; None where it is not one, as anybody may have written the message."""
    if not isinstance(text, str):
        return None
    trace_id, _, span_id = text.partition("-")
    try:
        found = trace.SpanContext(int(trace_id, 16), int(span_id, 16), is_remote=True)
    except ValueError:
        return None
    return found if found.is_valid else None
