"""What is wrong with the URL of a broker, or of a server that has the results."""

from __future__ import annotations

from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from opa._util.masking.names import looks_secret
from opa.redis_clients.urls import CHECKS, PARAMETER

_ENCODED = "/ ? # @ in a password are percent-encoded"


def wrong_in(url: str, error: Exception) -> str:
    """What is wrong, without what may be of a password.

    Args:
        url: one, or several with `;` between them.
        error: what Celery or a client has raised for it.
    """
    try:
        several = [urlsplit(part.strip()) for part in url.split(";")]
    except ValueError:
        return f"it has brackets that do not fit; {_ENCODED}"
    if "://" not in url:
        return "it does not start with a scheme such as redis:// or amqp://"
    return next(filter(None, (_wrong_by_itself(parts) for parts in several)), None) or _told(several[0], error)


def _wrong_by_itself(parts: SplitResult) -> str:
    try:
        parts.port  # noqa: B018 - it is read when it is asked for
    except ValueError:
        return f"its port is no number, or too large; {_ENCODED}"
    check = dict(parse_qsl(parts.query, keep_blank_values=True)).get(PARAMETER)
    if check is not None and check.lower().removeprefix("cert_") not in CHECKS:
        return f"its parameter {PARAMETER} is none of {', '.join(CHECKS)}"
    if check is not None and parts.scheme.startswith("redis") and not parts.scheme.startswith("rediss"):
        return f"its parameter {PARAMETER} is for rediss://"
    if parts.scheme in ("redis", "rediss") and not parts.path.strip("/").isdecimal() and parts.path.strip("/"):
        return "the database that it names, behind the host, is no number"
    return ""


def _told(parts: SplitResult, error: Exception) -> str:
    if isinstance(error, ImportError | KeyError):
        return f"Celery does not know {parts.scheme}://, or the package for it is not installed"
    text = " ".join(str(error).split())
    if any(secret and secret in text for secret in _secrets(parts)):
        return f"it has what cannot be read; {_ENCODED}"
    return text


def _secrets(parts: SplitResult) -> list[str]:
    hidden = [value for name, value in parse_qsl(parts.query) if looks_secret(name)]
    given = [parts.password or "", parts.username or "", *hidden]
    return [*given, *map(unquote, given)]
