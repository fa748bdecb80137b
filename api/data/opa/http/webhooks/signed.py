"""Routes that take a webhook only when it is signed: `body: Annotated[bytes, Signed("github", secret=…)]`."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from fastapi import Depends, HTTPException
from fastapi.openapi.models import APIKey, APIKeyIn
from fastapi.security.base import SecurityBase
from pydantic import SecretStr
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

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
        OpaError: the secret is empty, or the scheme is none.
        StartError: the package of the scheme is not installed.
    """
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
        several = [secret] if isinstance(secret, str | SecretStr) else list(secret)
        texts = [one.get_secret_value() if isinstance(one, SecretStr) else one for one in several]
        if not texts or not all(isinstance(text, str) and text.strip() for text in texts):
            raise self._unusable("is empty")
        found = [text.encode() for text in texts]
        for problem in filter(None, map(self._scheme.problem, found)):
            raise self._unusable(problem)
        return found

    def _unusable(self, problem: str) -> OpaError:
        hint = "Give it the secret that the sender shows, from a setting"
        return OpaError(f"the secret of Signed({self._name!r}) {problem}", hint=hint)

    async def __call__(self, request: Request) -> bytes:
        """The body.

        Raises:
            HTTPException: 401, it is not signed as it should be.
        """
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


def _only(request: Request, name: str) -> str:
    """The value of a header that has to be there once: of two, another program may take the other one."""
    values = request.headers.getlist(name)
    if len(values) != 1 or not values[0]:
        raise RefusedError(f"the header {name} is " + ("there more than once" if len(values) > 1 else "missing"))
    return values[0]


def _scheme(name: str, algorithm: str, encoding: Encoding, prefix: str, timestamp: str) -> Scheme:
    known = scheme_named(name)
    if known is not None:
        return known
    if ("-" not in name and name.lower() == name) or not all(map(_HEADER.fullmatch, filter(None, (name, timestamp)))):
        raise OpaError(
            f"Signed({name!r}) is no scheme",
            hint=f"Name one of github, {', '.join(SCHEMES)}, or the header that has the signature, such as X-Signature",
        )
    if algorithm not in ALGORITHMS or encoding not in ("hex", "base64"):
        raise OpaError(
            f"Signed({name!r}) has algorithm={algorithm!r} and encoding={encoding!r}",
            hint=f"Name an algorithm of {', '.join(ALGORITHMS)}, and hex or base64",
        )
    return HashOfBody(name, algorithm, encoding, prefix, timestamp)
