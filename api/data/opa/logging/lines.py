"""What one line of the log looks like: JSON for machines, text for people."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from datetime import UTC
from typing import TYPE_CHECKING, Any, cast

from opa._util.masking.secrets import MASK, is_secret_number, looks_secret, mask_key, mask_text, masked
from opa._util.printable import INDENT, in_one_line, indented
from opa.logging.tracebacks import format_exception

if TYPE_CHECKING:
    from loguru import Record

_TEXT = (
    "<green>{time:YYYY-MM-DD HH:mm:ss.SSS}</green> <level>{level: <8}</level> "
    "<cyan>{name}</cyan> <dim>{file.name}:{line}</dim> "
    "<level>{message}</level><dim>{_extra}</dim>\n{_exception}"
)
_JSON = "{_line}\n"
_TOLD_BY_MESSAGE = frozenset({"method", "path", "status", "client"})
"""Fields of the access log that a reader of its messages needs not."""
_ENCODER = json.JSONEncoder(allow_nan=False)  # made once: `json.dumps` makes one for each line


def safe_repr(value: Any) -> str:
    """`repr(value)`, or what stands for it where that fails."""
    try:
        return repr(value)
    except Exception as failure:  # noqa: BLE001  a log line must not fail because of what it shows
        return f"<{type(value).__name__}: its repr raises {type(failure).__name__}>"


def safe_str(value: Any) -> str:
    """`str(value)`, or what stands for it where that fails."""
    try:
        return str(value)
    except Exception:  # noqa: BLE001  the same, and safe_repr says what happened
        return safe_repr(value)


def json_line(record: Record) -> str:
    """For loguru's `format`: puts the line into the record and returns the template that shows it."""
    fields: dict[str, Any] = {
        "timestamp": record["time"].astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "level": record["level"].name,
        "logger": record["name"],
        "message": mask_text(record["message"]),
        "file": record["file"].path,
        "line": record["line"],
        "function": record["function"],
        "process": record["process"].id,
    }
    error = _error_of(record)
    if error is not None:
        fields["exception"] = {
            "type": type(error).__name__,
            "message": mask_text(safe_str(error)),
            "traceback": format_exception(error),
        }
    if record["extra"]:
        fields["extra"] = record["extra"]
    cast("dict[str, Any]", record)["_line"] = _to_json(fields)
    return _JSON


def text_line(record: Record, *, colored: bool, is_folded: bool = False) -> str:
    """For loguru's `format`: puts extra values and traceback into the record and returns the template.

    Only a line of the log begins at the margin: further lines of a message or a traceback are indented.
    """
    error = _error_of(record)
    record["message"] = indented(mask_text(record["message"]))
    if not (record["name"] or "").isprintable():  # a logger of the standard library may have any name
        record["name"] = in_one_line(record["name"] or "")
    if not record["file"].name.isprintable():
        record["file"].name = in_one_line(record["file"].name)
    told = _TOLD_BY_MESSAGE if record["name"] == "uvicorn.access" else frozenset()
    if "trace_id" in record["extra"]:  # it finds the trace, and the span in that is for machines
        told |= {"span_id"}
    extra = {key: value for key, value in record["extra"].items() if key not in told}
    cast("dict[str, Any]", record).update(
        _extra="".join(f" {in_one_line(key)}={_shown(key, value)}" for key, value in extra.items()),
        _exception=_traceback(error, colored, is_folded) if error is not None else "",
    )
    return _TEXT


def _traceback(error: BaseException, colored: bool, is_folded: bool) -> str:
    text = format_exception(error, colored=colored, is_folded=is_folded).rstrip("\n").replace("\n", f"\n{INDENT}")
    return f"{INDENT}{text}\n"


def _error_of(record: Record) -> BaseException | None:
    return record["exception"].value if record["exception"] is not None else None


def _shown(name: str, value: Any) -> str:
    kind = type(value)
    if kind is str:
        return MASK if value and looks_secret(name) else repr(mask_text(value))
    if kind is int or kind is float:
        return MASK if is_secret_number(name) else repr(value)
    with contextlib.suppress(RecursionError):  # an object that holds itself
        value = masked(value, name)
    return MASK if value is MASK else in_one_line(mask_text(safe_repr(value)))


def _to_json(fields: Mapping[str, Any]) -> str:
    extra = fields.get("extra")
    if extra is None:
        return _ENCODER.encode(fields)
    try:
        return _ENCODER.encode({**fields, "extra": {mask_key(name): _field(name, extra[name]) for name in extra}})
    except (ValueError, RecursionError):  # NaN, or an object that holds itself
        return _ENCODER.encode({**fields, "extra": {name: _shown(name, value) for name, value in extra.items()}})


def _field(name: str, value: Any) -> Any:
    """What JSON has for a value of `extra`. Nearly all are short texts and numbers, and each line has some."""
    kind = type(value)
    if kind is str:
        return MASK if value and looks_secret(name) else mask_text(value)
    if kind is int or kind is float:
        return MASK if is_secret_number(name) else value
    return value if value is None or kind is bool else _for_json(masked(value, name))


def _for_json(value: Any) -> Any:
    """What JSON has for `value`, in which everything is masked but the `repr` of objects."""
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, dict | Mapping):  # a look at an abstract class takes long
        return {str(key): _for_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_for_json(item) for item in value]
    return mask_text(safe_repr(value))
