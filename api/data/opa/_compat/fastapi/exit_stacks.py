"""Where FastAPI puts what ends with the function of a route, before the answer is sent."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import Any

FUNCTION_STACK = "fastapi_function_astack"
"""Of the scope of a request; since FastAPI 0.121 it has what `Depends(…, scope="function")` is to end."""


def function_stack(scope: Mapping[str, Any]) -> AsyncExitStack | None:
    """What is put into it ends when the function of the route has returned or raised; None where there is none.

    Args:
        scope: of a request that a route of FastAPI has got.
    """
    stack = scope.get(FUNCTION_STACK)
    return stack if isinstance(stack, AsyncExitStack) else None
