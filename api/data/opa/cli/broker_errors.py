"""A broker that does not answer is said in a line, and not as an exception that nothing caught."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def broker_errors() -> Iterator[None]:
    """Say of a broker that does not answer what to do.

    Raises:
        OpaError: it does not.
    """
    from kombu.exceptions import OperationalError

    from opa._util.masking.secrets import mask_text
    from opa.errors import OpaError

    try:
        yield
    except OperationalError as error:
        raise OpaError(
            f"the broker does not answer, so that nothing is sent: {mask_text(str(error)).rstrip('.')}",
            hint="Start it and try again; `opa up` in this folder does",
        ) from error
