"""`rediss://` URLs: how the certificate of the server is checked has one spelling for all who read them."""

from __future__ import annotations

from typing import Final

PARAMETER: Final = "ssl_cert_reqs"
CHECKS: Final = ("required", "optional", "none")


def with_certificate_check(url: str, *, is_needed: bool = False) -> str:
    """The URL with `ssl_cert_reqs=required`, `optional` or `none`, which redis-py knows alone.

    Args:
        is_needed: whether one that has none gets `required`, as Celery needs it, and as redis-py takes it for meant.

    Raises:
        ValueError: it has another one; the message repeats nothing of the URL, which holds a password.
    """
    if not url.lower().startswith("rediss://"):
        return url
    base, _, query = url.partition("?")
    parameters = [part for part in query.split("&") if part]
    checks = [index for index, part in enumerate(parameters) if part.partition("=")[0] == PARAMETER]
    for index in checks:
        check = parameters[index].partition("=")[2].lower().removeprefix("cert_")
        if check not in CHECKS:
            raise ValueError(f"a rediss:// URL needs the parameter {PARAMETER}=required (or optional, none)")
        parameters[index] = f"{PARAMETER}={check}"
    if not checks and is_needed:
        parameters.append(f"{PARAMETER}=required")
    return f"{base}?{'&'.join(parameters)}" if parameters else url
