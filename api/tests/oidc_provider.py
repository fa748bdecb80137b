"""A provider of OpenID Connect for tests, on loopback: it signs people in, or does whatever else a test wants."""

from __future__ import annotations

import base64
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qs, unquote_plus, urlencode

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from joserfc.jwk import Key

from tests.servers import wait_until
from tests.token_issuer import key, public, signed

CLIENT_ID = "shop"
CLIENT_SECRET = "planted-client-secret+/=%"
WELL_KNOWN = "/.well-known/openid-configuration"

ADA: dict[str, Any] = {
    "sub": "248289761001",
    "email": "ada@example.com",
    "email_verified": True,
    "name": "Ada Lovelace",
    "groups": ["staff", "admins"],
}

Answer = Callable[[Request], Any]


class OidcProvider:
    """What it answers, and what it was asked for.

    Attributes:
        url: the issuer.
        person: the claims of who signs in.
        changed: claims of a token in place of the right ones; what is None is left out.
        keys: with which it signs; the first one.
        sign: makes a token of its claims.
        document: what it says of itself in place of the truth.
        answers: what answers a path in place of it; awaited.
        requests: the paths that it was asked for.
        forms: what its token endpoint was sent.
        is_asking: whether people have to press a button.
    """

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self.reset()
        self._codes: dict[str, dict[str, str]] = {}
        config = uvicorn.Config(self._app(), lifespan="off", log_level="critical", access_log=False)
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._socket]}, daemon=True)

    def reset(self) -> None:
        self.person = dict(ADA)
        self.changed: dict[str, Any] = {}
        self.keys = [key()]
        self.sign: Callable[[dict[str, Any]], str] = self.signed
        self.document: dict[str, Any] = {}
        self.answers: dict[str, Answer] = {}
        self.requests: list[str] = []
        self.forms: list[dict[str, str]] = []
        self.is_asking = False

    def start(self) -> None:
        self._thread.start()
        assert wait_until(lambda: self._server.started)

    def stop(self) -> None:
        self._server.should_exit = self._server.force_exit = True
        self._thread.join()
        self._socket.close()

    def _app(self) -> FastAPI:
        app = FastAPI()

        @app.middleware("http")
        async def observed(request: Request, call_next: Any) -> Any:
            self.requests.append(request.url.path)
            answer = self.answers.get(request.url.path)
            return await (answer(request) if answer is not None else call_next(request))

        app.get(WELL_KNOWN)(self._document)
        app.get("/jwks")(lambda: {"keys": [public(pair) for pair in self.keys]})
        app.get("/authorize")(self._authorize)
        app.post("/token")(self._token)
        return app

    def _document(self) -> dict[str, Any]:
        said = {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "jwks_uri": f"{self.url}/jwks",
            "id_token_signing_alg_values_supported": ["RS256", "HS256", "none"],
        }
        return {name: value for name, value in {**said, **self.document}.items() if value is not None}

    def _authorize(self, request: Request) -> Response:
        asked = dict(request.query_params)
        problems = [
            asked.get("client_id") != CLIENT_ID,
            asked.get("response_type") != "code",
            "openid" not in asked.get("scope", "").split(),
            asked.get("code_challenge_method") != "S256" or len(asked.get("code_challenge", "")) != 43,
            not asked.get("redirect_uri", "").endswith("/callback"),
        ]
        if any(problems):
            return JSONResponse({"problems": problems}, 400)
        if self.is_asking and "yes" not in asked:
            again = f"/authorize?{urlencode({**asked, 'yes': '1'})}".replace("&", "&amp;")
            return HTMLResponse(f'<h1>Acme</h1><a id="yes" href="{again}">I am Ada</a>')
        code = secrets.token_urlsafe(16)
        self._codes[code] = asked
        answer = {"code": code, "state": asked["state"], "iss": self.url}
        return RedirectResponse(f"{asked['redirect_uri']}?{urlencode(answer)}", 303)

    async def _token(self, request: Request) -> Response:
        form = {name: values[0] for name, values in parse_qs((await request.body()).decode()).items()}
        self.forms.append(form)
        client = form.get("client_id", ""), form.get("client_secret", "")
        scheme, _, pair = request.headers.get("authorization", "").partition(" ")
        if scheme == "Basic":
            name, _, secret = base64.b64decode(pair).decode().partition(":")
            client = unquote_plus(name), unquote_plus(secret)
        if client != (CLIENT_ID, CLIENT_SECRET):
            return JSONResponse({"error": "invalid_client", "error_description": f"not {CLIENT_SECRET}"}, 401)
        asked = self._codes.pop(form.get("code", ""), {})
        challenge = base64.urlsafe_b64encode(sha256(form.get("code_verifier", "").encode()).digest()).rstrip(b"=")
        if challenge.decode() != asked.get("code_challenge") or form["redirect_uri"] != asked["redirect_uri"]:
            return JSONResponse({"error": "invalid_grant"}, 400)
        now = int(time.time())
        claims = {"iss": self.url, "aud": CLIENT_ID, "iat": now, "exp": now + 300, "nonce": asked["nonce"]}
        given = {**claims, **self.person, **self.changed}
        token = self.sign({name: value for name, value in given.items() if value is not None})
        return JSONResponse({"access_token": "planted-access-token", "token_type": "Bearer", "id_token": token})

    def signed(self, claims: dict[str, Any], pair: Key | None = None, **header: Any) -> str:
        pair = pair or self.keys[0]
        return signed({"alg": "RS256", "kid": pair.kid, "typ": "JWT", **header}, claims, pair)


@contextmanager
def oidc_provider() -> Iterator[OidcProvider]:
    """A provider that serves."""
    provider = OidcProvider()
    provider.start()
    try:
        yield provider
    finally:
        provider.stop()


def settings_of(provider: OidcProvider, **settings: Any) -> dict[str, Any]:
    """An entry of OIDC_PROVIDERS."""
    entry = {
        "ISSUER": provider.url,
        "CLIENT_ID": CLIENT_ID,
        "CLIENT_SECRET": CLIENT_SECRET,
        "ALLOW": [{"EMAIL": "ada@example.com", "SCOPES": ["shop:*"]}],
        **settings,
    }
    return {name: value for name, value in entry.items() if value is not None}
