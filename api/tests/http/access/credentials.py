"""Real credentials of each kind, right ones and all that are no good, for an api that knows every kind at once."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import redis

from opa.plugins.access_keys.making import new_key
from opa.plugins.access_keys.tokens import id_in, new_id, new_token
from opa.plugins.access_sessions.cookie import PREFIX
from tests import programs
from tests.plugins.access_sessions.people import HASH, PASSWORD
from tests.serve.process import Opa, wait_until
from tests.serve.raw import Raw, get, post
from tests.token_issuer import AUDIENCE, TokenIssuer, key, public

SCOPE = "shop:use"
ORIGIN = "Origin: http://localhost"
PEOPLE = {"right": [SCOPE], "lacking": ["other"], "expired": [SCOPE], "revoked": [SCOPE]}
LIFETIME = 43_200

# The issuer is asked again for a token with an unknown key whenever one comes, and not every 30 seconds.
ASKS_AT_ONCE = """
    import opa.jwt.jwks as jwks

    jwks.BETWEEN_FETCHES = 0
"""

Credential = tuple[str, ...]
"""The headers that have it."""


class Credentials:
    """A project with each kind of authenticator, and what those who call it have.

    Args:
        opa: the project; nothing runs in it yet.
        issuer: of JSON Web Tokens.
        redis_url: where keys and sessions are.

    Attributes:
        environ: of the api.
    """

    def __init__(self, opa: Opa, issuer: TokenIssuer, redis_url: str) -> None:
        self._opa = opa
        self._issuer = issuer
        self._redis_url = redis_url
        self._project = uuid4().hex
        self._kept = {name: new_key(name, scopes, timedelta(days=1), _made(name)) for name, scopes in PEOPLE.items()}
        self._current, self._withdrawn = key(), key(number=1)
        issuer.published = [public(self._current), public(self._withdrawn)]
        self.environ = {
            "ENV": "dev",  # or else the issuer needs TLS
            **{f"OPA_{name}": "false" for name in ("RELOAD", "DEBUGPY", "BETTER_EXCEPTIONS")},
            "OPA_OPTIONAL_COMPONENTS__AIOREDIS__LOAD": "yes",
            "OPA_OPTIONAL_COMPONENTS__AIOREDIS__OPTS__URL": redis_url,
        }
        opa.plugin("asks_at_once.py", ASKS_AT_ONCE)

    def settings(self, **settings: Any) -> None:
        """Write the settings: those of all authenticators, and `settings`."""
        kept = {name: record.as_mapping() for name, (record, _) in self._kept.items() if name != "revoked"}
        given = {
            "PROJECT_ID": self._project,
            "ACCESS_KEYS": {f"kept-{name}": entry for name, entry in kept.items()},
            "JWT_ISSUERS": [{"issuer": self._issuer.url, "audience": AUDIENCE}],
            "USERS": {name: {"PASSWORD": HASH, "SCOPES": scopes} for name, scopes in PEOPLE.items()},
            "SESSION_LIFETIME": LIFETIME,
            **settings,
        }
        (self._opa.folder / "settings" / "00-test.json").write_text(json.dumps({"default": given}))

    def of_all_kinds(self) -> dict[str, dict[str, Credential]]:
        """By kind, and by what is wrong with them; the api runs."""
        return {
            "API key": self._api_keys(),
            "API key in the settings": self._keys_in_settings(),
            "JWT": self._tokens(),
            "session": self._sessions(),
        }

    def _api_keys(self) -> dict[str, Credential]:
        begun = time.time()
        made = {
            "expired": self._create("expired", SCOPE, "1s"),
            "revoked": self._create("revoked", SCOPE, "1d"),
            "lacking": self._create("lacking", "other", "1d"),
            "right": self._create("right", SCOPE, "1d"),
        }
        self._command("keys", "revoke", "revoked")
        wait_until(lambda: time.time() > begun + 2)  # where the second that the key had begun late
        unknown = {"wrong": new_token(_id_in(made["right"])), "unknown": new_token(new_id())}
        return {name: (f"Authorization: Bearer {token}",) for name, token in {**made, **unknown}.items()}

    def _keys_in_settings(self) -> dict[str, Credential]:
        tokens = {name: token for name, (_, token) in self._kept.items()}
        unknown = {"wrong": new_token(_id_in(tokens["right"])), "unknown": new_token(new_id())}
        return {name: (f"X-API-Key: {token}",) for name, token in {**tokens, **unknown}.items()}

    def _tokens(self) -> dict[str, Credential]:
        now = int(time.time())
        token, stranger = self._issuer.token, key(number=2)
        made = {
            "expired": token(self._current, scope=SCOPE, iat=now - 1200, exp=now - 600),
            "revoked": token(self._withdrawn, scope=SCOPE),
            "lacking": token(self._current, scope="other"),
            "right": token(self._current, scope=SCOPE),
            "wrong": token(stranger, scope=SCOPE, header={"kid": self._current.kid}),
            "unknown": token(stranger, scope=SCOPE),
        }
        found: dict[str, Credential] = {name: (f"Authorization: Bearer {text}",) for name, text in made.items()}
        assert self._status("/by-route", found["revoked"]) == 200
        self._issuer.published = [public(self._current)]
        assert self._status("/by-route", found["unknown"]) == 401  # for which the keys are fetched again
        return found

    def _sessions(self) -> dict[str, Credential]:
        ids = {name: self._sign_in(name) for name in PEOPLE}
        with redis.Redis.from_url(self._redis_url) as client:
            entry = f"opa:{self._project}:access:session:{sha256(ids['expired'].encode()).hexdigest()}"
            kept = json.loads(client.get(entry) or "")
            client.set(entry, json.dumps({**kept, "CREATED": kept["CREATED"] - LIFETIME}))
        self._command("sessions", "end", "--user", "revoked")
        changed = ids["right"][:-1] + ("A" if ids["right"][-1] != "A" else "B")
        found = {**ids, "wrong": changed, "unknown": PREFIX + "x" * (len(changed) - len(PREFIX))}
        return {name: (f"Cookie: opa-session={session_id}", ORIGIN) for name, session_id in found.items()}

    def _sign_in(self, name: str) -> str:
        form = urlencode({"user": name, "password": PASSWORD}).encode()
        with Raw(self._opa.port) as client:
            client.send(post("/sign-in", form, ORIGIN, "Content-Type: application/x-www-form-urlencoded"))
            status, headers, _ = client.answer()
        assert status == 303
        return headers["set-cookie"].partition(";")[0].partition("=")[2]

    def _status(self, path: str, credential: Credential) -> int:
        with Raw(self._opa.port) as client:
            client.send(get(path, *credential))
            return client.status()

    def _create(self, name: str, scope: str, expires: str) -> str:
        return self._command("keys", "create", name, "--scope", scope, "--expires", expires).strip()

    def _command(self, *arguments: str) -> str:
        environ = {**self._opa.environ, **self.environ}
        done = programs.run([programs.OPA, *arguments], cwd=self._opa.folder, env=environ)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


def _made(name: str) -> datetime:
    """When a key in the settings was made that lives for a day."""
    return datetime.now(UTC) - timedelta(days=2 if name == "expired" else 0)


def _id_in(token: str) -> str:
    found = id_in(token)
    assert found is not None
    return found
