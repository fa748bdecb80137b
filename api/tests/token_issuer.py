"""An issuer of JSON Web Tokens for tests, on loopback: its keys are at a URL, and it signs whatever a test wants."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from joserfc.jwk import JWKRegistry, Key
from joserfc.jws import JWSRegistry

AUDIENCE = "https://shop.example.com"
WELL_KNOWN = "/.well-known/openid-configuration"
JWKS = "/jwks"

Handler = Callable[[BaseHTTPRequestHandler], None]


@cache
def key(kind: str = "RSA", size_or_curve: int | str = 2048, number: int = 0) -> Key:
    """A key pair; another `number` is another one."""
    return JWKRegistry.generate_key(kind, size_or_curve, private=True, auto_kid=True)


def public(pair: Key, **more: Any) -> dict[str, Any]:
    return {**pair.as_dict(private=False), **more}


def segment(value: Any) -> str:
    """A part of a token; a text as it is."""
    text = value if isinstance(value, str) else json.dumps(value)
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def signed(header: Any, claims: Any, pair: Key, algorithm: str = "RS256") -> str:
    """A token with whatever in it."""
    content = f"{segment(header)}.{segment(claims)}"
    signature = JWSRegistry.algorithms[algorithm].sign(content.encode(), pair)
    return f"{content}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def signed_with_secret(header: Any, claims: Any, secret: bytes) -> str:
    content = f"{segment(header)}.{segment(claims)}"
    signature = hmac.digest(secret, content.encode(), hashlib.sha256)
    return f"{content}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


class TokenIssuer:
    """What it answers, and what it was asked for.

    Attributes:
        url: the issuer.
        published: its keys.
        requests: the paths that it was asked for.
        forms: what it was sent.
        answers: what answers a path in place of it.
    """

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.published: list[Any] = []
        self.requests: list[str] = []
        self.forms: list[str] = []
        self.answers: dict[str, Handler] = {}
        issuer = self

        class Answer(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer.requests.append(self.path)
                issuer.answers.get(self.path, issuer.answer)(self)

            def do_POST(self) -> None:
                issuer.forms.append(self.rfile.read(int(self.headers["Content-Length"])).decode())
                self.do_GET()

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
            self.url = f"https://localhost:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        if request.path == WELL_KNOWN:
            send(request, {"issuer": self.url, "jwks_uri": f"{self.url}{JWKS}"})
        elif request.path == JWKS:
            send(request, {"keys": self.published})
        else:
            send(request, {}, 404)

    def claims(self, **claims: Any) -> dict[str, Any]:
        """Those of a token that is good; one that is None is left out."""
        now = int(time.time())
        good = {"iss": self.url, "sub": "anna", "aud": AUDIENCE, "iat": now, "exp": now + 600, "scope": "shop:read"}
        return {name: value for name, value in {**good, **claims}.items() if value is not None}

    def token(
        self, pair: Key | None = None, algorithm: str = "RS256", header: Mapping[str, Any] | None = None, **claims: Any
    ) -> str:
        """A token; what is None in its header is left out."""
        pair = pair or key()
        fields = {"alg": algorithm, "kid": pair.kid, "typ": "JWT", **(header or {})}
        fields = {name: value for name, value in fields.items() if value is not None}
        return signed(fields, self.claims(**claims), pair, algorithm)


def send(
    request: BaseHTTPRequestHandler, content: Any, status: int = 200, headers: Mapping[str, str] | None = None
) -> None:
    """Answer; bytes as they are."""
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    request.send_response(status)
    for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
        request.send_header(name, value)
    request.end_headers()
    request.wfile.write(body)


@contextmanager
def token_issuer(tls: ssl.SSLContext | None = None) -> Iterator[TokenIssuer]:
    """An issuer that serves."""
    issuer = TokenIssuer(tls)
    issuer.start()
    try:
        yield issuer
    finally:
        issuer.stop()
