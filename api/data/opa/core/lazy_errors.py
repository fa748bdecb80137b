"""The error classes of a client that is imported only where a component uses it."""

from __future__ import annotations

import inspect
import sys
from typing import Any, cast

from opa._util.import_strings import resolve


class LazyErrors:
    """A class attribute that is a tuple of exception classes, and imports them when it is first asked for."""

    def __init__(self, uris: tuple[str, ...]) -> None:
        self._uris = uris
        self._errors: tuple[type[Exception], ...] | None = None

    def __get__(self, instance: object, owner: type) -> tuple[type[Exception], ...]:
        if self._errors is None:
            found = [resolve(uri) for uri in self._uris]
            self._errors = tuple(error for each in found for error in (each if isinstance(each, tuple) else (each,)))
        return self._errors

    @property
    def is_imported(self) -> bool:
        """Whether the client is: else no error of it can be raised."""
        return self._uris[0].partition(":")[0].partition(".")[0] in sys.modules


def errors_now(owner: object, attribute: str) -> tuple[type[Exception], ...]:
    """The errors in an attribute of a driver, or of its class; none where its client is not imported."""
    errors = inspect.getattr_static(owner, attribute)
    if isinstance(errors, LazyErrors) and not errors.is_imported:
        return ()
    return cast("tuple[type[Exception], ...]", getattr(owner, attribute))


def lazy_errors(*uris: str) -> tuple[type[Exception], ...]:
    """Errors for `connection_errors` and `permanent_errors` of a driver, imported when they are first needed.

    A driver whose client takes long to import need not import it where no component uses the driver.

    Args:
        uris: of exception classes, or of tuples of them, such as `redis.exceptions:TimeoutError`.
    """
    # On a class it is the tuple; types know no descriptor that stands for another type of attribute.
    return cast("tuple[type[Exception], ...]", cast("Any", LazyErrors(uris)))
