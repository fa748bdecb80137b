"""Routes that take a webhook only when it is signed: `body: Annotated[bytes, Signed("github", secret=…)]`."""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from fastapi import Depends, HTTPException, WebSocketException
from fastapi.openapi.models import APIKey, APIKeyIn
from fastapi.security.base import SecurityBase
from pydantic import SecretStr
from starlette.concurrency import run_in_threadpool
from starlette.requests import HTTPConnection, Request

from opa._util.words import kind_of
from opa.errors import OpaError
from opa.http.webhooks.schemes import ALGORITHMS, SCHEMES, Encoding, HashOfBody, RefusedError, Scheme, scheme_named
from opa.logging.refusal_log import refusals

_HEADER = re.compile(r"[A-Za-z0-9_-]+")

Secret = str | SecretStr | Sequence[str | SecretStr]
MAX_SIGNATURES = 20
"""Of one request. A sender that exchanges its secret sends two."""
LARGE_BODY = 100_000
"""Bytes from which the hash is made in a thread: that of 10 MB would hold the event loop for 7 ms and more."""


def Signed(  # noqa: N802 - it stands where FastAPI's Depends stands
    scheme: str,
    *,
    secret: Secret | Callable[[], Secret],
    tolerance: float = 300,
    algorithm: str = "sha256",
    encoding: Encoding = "hex",
    prefix: str = "",
    timestamp: str = "",
) -> Any:
    """A dependency that verifies the signature of a webhook, and gives its body as it was sent.

    Use it as `body: Annotated[bytes, Signed("github", secret=settings.secret)]`, or in `dependencies` of a route or a
    router. A request that is not signed, or with another secret, or too long ago, is answered 401.

    Args:
        scheme: github, stripe, slack, standard (Standard Webhooks), or the name of the header that has the signature.
        secret: that of the sender; several while it is exchanged; or a function that gives it for each request.
        tolerance: seconds that the time of sending may be off, where the scheme has one.
        algorithm: of the hash in a header of your own: sha256, sha384, sha512 or sha1.
        encoding: of that hash: hex or base64.
        prefix: of that header's value, such as `sha256=`.
        timestamp: header with the time of sending in seconds since 1970; what is signed is then that time, a dot, and
            the body.

    Raises:
        OpaError: the secret or the tolerance cannot be one, or the scheme is none.
        StartError: the package of the scheme is not installed.
    """
    if not (isinstance(tolerance, int | float) and 0 < tolerance < math.inf):
        raise OpaError(f"Signed({scheme!r}) has tolerance={tolerance!r}", hint="Give a number of seconds above 0")
    if callable(secret) and inspect.iscoroutinefunction(inspect.unwrap(secret)):
        raise OpaError(f"the secret of Signed({scheme!r}) is an async def", hint="Give it a def, or the secret itself")
    if not callable(secret) and not isinstance(secret, str | SecretStr):
        secret = _several(scheme, secret)
    signed = SignedBody(_scheme(scheme, algorithm, encoding, prefix, timestamp), scheme, secret, tolerance)
    if not callable(secret):
        signed.secrets()
    return Depends(signed)


class SignedBody(SecurityBase):
    """The dependency behind `Signed(…)`; the OpenAPI document has it as a key in a header."""

    def __init__(self, scheme: Scheme, name: str, secret: Secret | Callable[[], Secret], tolerance: float) -> None:
        told = {"in": APIKeyIn.header, "name": scheme.header, "description": "The signature of the body"}
        self.model = APIKey.model_validate(told)
        self.scheme_name = f"signed-{name}"
        self._scheme = scheme
        self._name = name
        self._secret = secret
        self._tolerance = tolerance

    def secrets(self) -> list[bytes]:
        """Those that may have signed.

        Raises:
            OpaError: there is none, or one is empty, with which everybody could sign.
        """
        secret = self._secret() if callable(self._secret) else self._secret
        several = [secret] if isinstance(secret, str | SecretStr) else _several(self._name, secret)
        texts = [one.get_secret_value() if isinstance(one, SecretStr) else one for one in several]
        if not all(isinstance(text, str) for text in texts):
            raise _unusable(self._name, "is not a text")
        if not texts or not all(text.strip() for text in texts):
            raise _unusable(self._name, "is empty")
        try:
            found = [text.encode() for text in texts]
        except UnicodeEncodeError:
            raise _unusable(self._name, "has half of a character") from None
        for problem in filter(None, map(self._scheme.problem, found)):
            raise _unusable(self._name, problem)
        return found

    async def __call__(self, request: HTTPConnection) -> bytes:
        """The body.

        Raises:
            HTTPException: 401, it is not signed as it should be.
            WebSocketException: it is a websocket, which has no body to sign.
        """
        if not isinstance(request, Request):
            refusals.note(f"a websocket has no body that is signed as '{self._name}' has it (403)")
            raise WebSocketException(1008, "a websocket is not signed")
        try:
            headers = {name: _only(request, name) for name in self._scheme.headers}
            if headers[self._scheme.header].count(",") + headers[self._scheme.header].count(" ") > MAX_SIGNATURES:
                raise RefusedError(f"the header {self._scheme.header} has too many signatures")
            body = await request.body()  # only now: who sends no signature has no body read
            arguments = body, headers, self.secrets(), self._tolerance
            if len(body) > LARGE_BODY:
                await run_in_threadpool(self._scheme.verify, *arguments)
            else:
                self._scheme.verify(*arguments)
        except RefusedError as refused:
            refusals.note(f"a webhook is not signed as '{self._name}' has it: {refused} (401)")
            raise HTTPException(401, str(refused), {"WWW-Authenticate": self._scheme.header}) from None
        return body


def _several(name: str, secrets: object) -> tuple[Any, ...]:
    if isinstance(secrets, bytes | Mapping) or not isinstance(secrets, Iterable):
        raise _unusable(name, f"is {kind_of(secrets)}")
    return tuple(secrets)


def _unusable(name: str, problem: str) -> OpaError:
    hint = "Give it the secret that the sender shows, as a text or a SecretStr from a setting, or several of them"
    return OpaError(f"the secret of Signed({name!r}) {problem}", hint=hint)


def _only(request: Request, name: str) -> str:
    """The value of a header that has to be there once: of two, another program may take the other one."""
    values = request.headers.getlist(name)
    if len(values) != 1 or not values[0]:
        raise RefusedError(f"the header {name} is " + ("there more than once" if len(values) > 1 else "missing"))
    return values[0]


def _scheme(name: str, algorithm: str, encoding: Encoding, prefix: str, timestamp: str) -> Scheme:
    known = scheme_named(name)
    if known is not None:
        if (algorithm, encoding, prefix, timestamp) != ("sha256", "hex", "", ""):
            raise OpaError(
                f"Signed({name!r}) says how a header is made, which this scheme does itself",
                hint="Remove algorithm, encoding, prefix and timestamp, or name the header in place of the scheme",
            )
        return known
    is_misspelt = "-" not in name and (name.lower() == name or scheme_named(name.lower()) is not None)
    if is_misspelt or not all(map(_HEADER.fullmatch, filter(None, (name, timestamp)))) or name == timestamp:
        raise OpaError(
            f"Signed({name!r}) is not a scheme",
            hint=f"Name one of github, {', '.join(SCHEMES)}, or the header that has the signature, such as X-Signature",
        )
    if algorithm not in ALGORITHMS or encoding not in ("hex", "base64"):
        raise OpaError(
            f"Signed({name!r}) has algorithm={algorithm!r} and encoding={encoding!r}",
            hint=f"Name an algorithm of {', '.join(ALGORITHMS)}, and hex or base64",
        )
    return HashOfBody(name, algorithm, encoding, prefix, timestamp)
