"""What is raised where the OpenAPI document cannot be built."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from opa.errors import OpaError


class OpenApiError(OpaError):
    """The OpenAPI document cannot be built; the cause is chained."""


@contextmanager
def naming(what: str, where: str | None = None) -> Iterator[None]:
    """What fails in the block is told with `what`."""
    try:
        yield
    except OpenApiError:
        raise
    except Exception as error:
        raise OpenApiError(
            f"the OpenAPI document cannot be built{what}: {type(error).__name__}: {error}",
            where=where,
            hint="Fix it, or leave the route out with include_in_schema=False",
        ) from error
