"""JSON as RFC 8259 has it, in requests and in answers, where Python's own reads and writes more.

What a client sends and nobody could answer with is refused where it is read: FastAPI makes a 422 of it. What an answer
has that JSON has not is replaced. `Request.json` and `JSONResponse.render` are the places for both: FastAPI calls them
for every route, and plugins do too. A plugin that has put something of its own there keeps it.
"""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Callable
from typing import Any, NoReturn

from starlette.requests import Request
from starlette.responses import JSONResponse

from opa._compat.json_encoder import made_once
from opa._util.nesting import deeper_than
from opa._util.patterns import lazy_pattern
from opa.logging.logger import log

MAX_DEPTH = 200
"""Levels of lists and objects in a request. Python and Pydantic give up at some 250 to 1,000, amid an answer."""

_MAYBE_SURROGATE = lazy_pattern(r"\\u[dD][89a-fA-F]")
_BRACKETS = ("[", "{")


class _RefusedError(ValueError):
    """`args`: what is wrong, and the text that is."""


def install() -> None:
    """Read and write so from now on, in this process, unless a plugin or an agent does that itself."""
    _put(Request, "json", _read)
    _put(JSONResponse, "render", _render)


def _put(owner: type, name: str, function: Callable[..., Any]) -> None:
    found = vars(owner)[name]
    if found is function:
        return
    # Starlette's own is known by the module in which it runs: a decorator copies both names, but not that.
    if getattr(found, "__globals__", None) is not vars(sys.modules[owner.__module__]):
        log.debug(
            f"{owner.__name__}.{name} is {getattr(found, '__module__', None)}.{getattr(found, '__qualname__', found)},"
            " and stays so: what JSON is, is up to that"
        )
        return
    setattr(owner, name, function)


async def _read(self: Request[Any]) -> Any:
    known = vars(self)
    if "opa_json" not in known:
        known["opa_json"] = loads(await self.body())
    return known["opa_json"]


def loads(body: bytes) -> Any:
    """What `body` says.

    Raises:
        JSONDecodeError: it is not JSON, or it holds what no answer could: see docs/security.md.
    """
    try:
        text = body.decode(json.detect_encoding(body))
    except UnicodeDecodeError as error:
        before = body[: error.start].decode(error.encoding, "replace")
        raise json.JSONDecodeError("The text is not UTF-8", before, len(before)) from None
    try:
        value = _decoder.decode(text)
    except json.JSONDecodeError:
        raise
    except _RefusedError as error:
        problem, found = error.args
        raise json.JSONDecodeError(problem, text, max(text.find(found), 0)) from None
    except RecursionError:
        raise _too_deep(text) from None
    except ValueError:  # Python's limit for the digits of a whole number
        digits = re.search(r"\d{4301}", text)
        raise json.JSONDecodeError("A number has too many digits", text, digits.start() if digits else 0) from None
    if sum(map(text.count, _BRACKETS)) > MAX_DEPTH and deeper_than(MAX_DEPTH, value):
        raise _too_deep(text)
    if (found := _MAYBE_SURROGATE.search(text)) and _has_surrogates(value):
        raise json.JSONDecodeError("Half of a surrogate pair, which is not a character", text, found.start())
    return value


def _too_deep(text: str) -> json.JSONDecodeError:
    return json.JSONDecodeError(f"More than {MAX_DEPTH} levels of lists and objects", text, 0)


def _has_surrogates(value: Any) -> bool:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return True
    return False


def _no_constant(name: str) -> NoReturn:
    raise _RefusedError(f"{name} is not a number in JSON", name)


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise _RefusedError("A number is too large", text)
    return number


_decoder = json.JSONDecoder(parse_constant=_no_constant, parse_float=_finite)
_encoder = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
_encode = made_once(_encoder)


def _render(self: JSONResponse, content: Any) -> bytes:
    try:
        return _encode(content).encode()
    except RecursionError:  # a circle, which the other encoder knows to be one, or too deep for it as well
        return _of_characters(_encoder.encode(content))
    except UnicodeEncodeError:
        return _of_characters(_encode(content))
    except ValueError as error:
        return _of_characters(_encoder.encode(_fixed(content, error, set())))


def _of_characters(text: str) -> bytes:
    """With U+FFFD for halves of pairs. In the text, and not before: of keys that become one, JSON has each, too."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()


def _fixed(value: Any, error: ValueError, around: set[int]) -> Any:
    """A copy with `null` for what is no number; a key that is none is a text, as Python's own JSON writes it.

    Args:
        value: what JSON cannot hold.
        error: raised where it is a circle.
        around: the ids of the lists and dicts that it is in.
    """
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if not isinstance(value, dict | list | tuple):
        return value
    if id(value) in around:
        raise error
    around.add(id(value))
    fixed: Any
    if isinstance(value, dict):
        fixed = {_key(key): _fixed(item, error, around) for key, item in value.items()}
    else:
        fixed = [_fixed(item, error, around) for item in value]
    around.remove(id(value))
    return fixed


def _key(key: Any) -> Any:
    return json.dumps(key) if isinstance(key, float) and not math.isfinite(key) else key
