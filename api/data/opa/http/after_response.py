"""What is to run when the answer to a request is sent."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from opa.context import current_context
from opa.http.plugin_exit import as_error_of_plugin, is_of_the_server
from opa.http.request_context import RequestContext
from opa.logging.logger import log

Function = Callable[[], Awaitable[object]]


def after_response(function: Function | None) -> bool:
    """Have `function` called when the answer to the request is sent for which this code runs.

    It is called behind the background tasks of the answer, also where that is an error, and the server waits for it
    when it stops. What it raises is written to the log.

    Args:
        function: takes nothing, and gives what is awaited. None asks only whether there is a request.

    Returns:
        Whether there is such a request: not in a websocket or a task, and not when its answer is sent already.
    """
    context: Any = current_context.get()
    if type(context) is not RequestContext or context.is_websocket or context.after == ():
        return False
    if function is not None:
        context.after = (*(context.after or ()), function)
    return True


async def run_after_response(context: RequestContext) -> None:
    """Call what is to run now; what comes after that is too late."""
    functions, context.after = context.after or (), ()
    for function in functions:
        try:
            await function()
        except BaseException as error:
            if not isinstance(error, Exception):
                if is_of_the_server(error):
                    raise
                error = as_error_of_plugin(error)
            log.opt(exception=error).error(f"what was to run after a response failed: {type(error).__name__}: {error}")
