"""A broker that does not answer is said in a line, and not as an exception that nothing caught."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from opa.core.manager import PluginManager


@contextmanager
def broker_errors(manager: PluginManager) -> Iterator[None]:
    """Say of the broker of `manager`, where it does not answer, which one it is, and what to do.

    Raises:
        OpaError: it does not.
    """
    from kombu.exceptions import OperationalError

    from opa._util.masking.secrets import mask_text
    from opa.errors import OpaError

    try:
        yield
    except OperationalError as error:
        with manager.celery.connection_for_write() as connection:  # it is made, and does not connect
            broker = mask_text(connection.as_uri())
        raise OpaError(
            f"the broker {broker} does not answer, so that nothing is sent: {mask_text(str(error)).rstrip('.')}",
            where="setting OPTIONAL_COMPONENTS.CELERY.OPTS.BROKER_URL",
            hint="Start it and try again; `opa up` in this folder does",
        ) from error
