"""What one line of the log looks like: JSON for machines, text for people."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC
from typing import TYPE_CHECKING, Any, cast

from opa.core.exceptions import format_exception

if TYPE_CHECKING:
    from loguru import Record

_TEXT = (
    "<green>{time:YYYY-MM-DD HH:mm:ss.SSS}</green> <level>{level: <8}</level> "
    "<cyan>{name}</cyan> <dim>{file.name}:{line}</dim> "
    "<level>{message}</level><dim>{_extra}</dim>\n{_exception}"
)
_JSON = "{_line}\n"

# The user's name may stay, the password not. A password may hold an unescaped "@" or ":".
_PASSWORD_IN_URL = re.compile(r"(://[^\s:/@'\"]*):[^\s/'\"]+@")


def mask_passwords(text: str) -> str:
    """`text` with the password of every URL in it replaced by `***`."""
    return _PASSWORD_IN_URL.sub(r"\1:***@", text) if "://" in text else text


def safe_repr(value: Any) -> str:
    """`repr(value)`, or what stands for it where that fails."""
    try:
        return repr(value)
    except Exception as failure:  # noqa: BLE001  a log line must not fail because of what it shows
        return f"<{type(value).__name__}: its repr raises {type(failure).__name__}>"


def json_line(record: Record) -> str:
    """For loguru's `format`: puts the line into the record and returns the template that shows it."""
    fields: dict[str, Any] = {
        "timestamp": record["time"].astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "level": record["level"].name,
        "logger": record["name"],
        "message": record["message"],
        "file": record["file"].path,
        "line": record["line"],
        "function": record["function"],
        "process": record["process"].id,
    }
    error = _error_of(record)
    if error is not None:
        fields["exception"] = {
            "type": type(error).__name__,
            "message": _safe_str(error),
            "traceback": format_exception(error),
        }
    if record["extra"]:
        fields["extra"] = dict(record["extra"])
    cast("dict[str, Any]", record)["_line"] = mask_passwords(_to_json(fields))
    return _JSON


def text_line(record: Record, *, colored: bool) -> str:
    """For loguru's `format`: puts extra values and traceback into the record and returns the template."""
    error = _error_of(record)
    extra = "".join(f" {key}={safe_repr(value)}" for key, value in record["extra"].items())
    traceback = format_exception(error, colored=colored) if error is not None else ""
    record["message"] = mask_passwords(record["message"])
    cast("dict[str, Any]", record).update(_extra=mask_passwords(extra), _exception=mask_passwords(traceback))
    return _TEXT


def _error_of(record: Record) -> BaseException | None:
    return record["exception"].value if record["exception"] is not None else None


def _safe_str(value: Any) -> str:
    try:
        return str(value)
    except Exception:  # noqa: BLE001  the same, and safe_repr says what happened
        return safe_repr(value)


def _to_json(fields: Mapping[str, Any]) -> str:
    try:
        return json.dumps(fields, default=safe_repr, allow_nan=False)
    except (
        TypeError,
        ValueError,
        RecursionError,
    ):  # keys that are no strings, NaN, an object that holds itself
        extra = {str(key): safe_repr(value) for key, value in fields["extra"].items()}
        return json.dumps({**fields, "extra": extra})
