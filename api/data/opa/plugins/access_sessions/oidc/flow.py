"""One attempt to sign in, bound to the browser that began it.

The browser keeps a secret in a cookie, of which `state`, `nonce` and the verifier of PKCE are made: nothing is kept
here of those who only begin. Whoever has another cookie, or none, can neither make nor use them.
"""

from __future__ import annotations

import hmac
import re
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from hashlib import sha256
from typing import Self

from opa import RefusedCredentialError

LIFETIME = 600
"""Seconds that a person has to sign in with the provider."""

_STATE = re.compile(r"([A-Za-z0-9_-]{22})\.([0-9]{10,11})\.([A-Za-z0-9_-]{43})")
_KEPT = re.compile(r"([A-Za-z0-9_-]{43})\.([A-Za-z0-9_-]{22})\.([A-Za-z0-9_-]{0,2800})")


@dataclass(frozen=True, slots=True)
class Kept:
    """What the browser keeps.

    Attributes:
        secret: of the browser.
        flow: the attempt that it has begun last.
        back: where it was to go then.
    """

    secret: str
    flow: str
    back: str

    @classmethod
    def from_text(cls, text: str | None) -> Self | None:
        """What a cookie has; None where it is none of ours."""
        found = _KEPT.fullmatch(text or "")
        if found is None:
            return None
        secret, flow, back = found.groups()
        try:
            return cls(secret, flow, urlsafe_b64decode(back + "=" * (-len(back) % 4)).decode("ascii"))
        except ValueError:
            return None

    def __str__(self) -> str:
        return f"{self.secret}.{self.flow}.{_encoded(self.back.encode())}"


@dataclass(frozen=True, slots=True)
class Flow:
    """What goes to the provider, and what comes back from it.

    Attributes:
        state: comes back with the code.
        nonce: comes back in the token.
        verifier: proves to the provider that the code is brought by who has asked for it.
    """

    state: str
    nonce: str
    verifier: str

    @property
    def challenge(self) -> str:
        """By which the provider knows the verifier (RFC 7636, S256)."""
        return _encoded(sha256(self.verifier.encode()).digest())


def begin(provider: str, back: str, former: Kept | None, now: float) -> tuple[Kept, Flow]:
    """A new attempt.

    Args:
        provider: its name.
        back: where the browser is to go in the end.
        former: what the browser has kept so far: an attempt in another tab goes on.
        now: in seconds since 1970.
    """
    kept = Kept(former.secret if former else secrets.token_urlsafe(32), secrets.token_urlsafe(16), back)
    return kept, _flow(kept.secret, provider, kept.flow, str(int(now)))


def resume(provider: str, state: str, kept: Kept | None, now: float) -> Flow:
    """The attempt that an answer of a provider is for.

    Raises:
        RefusedCredentialError: it was not begun in this browser and with this provider, or not lately.
    """
    found = _STATE.fullmatch(state)
    if found is None or kept is None:
        raise RefusedCredentialError("an answer is for no attempt of this browser", is_guess=False)
    flow, begun, _ = found.groups()
    expected = _flow(kept.secret, provider, flow, begun)
    if not hmac.compare_digest(expected.state, state):
        raise RefusedCredentialError("an answer is for no attempt of this browser")
    if not -LIFETIME < now - int(begun) < LIFETIME:
        raise RefusedCredentialError("an answer is for an attempt that was begun too long ago", is_guess=False)
    return expected


def _flow(secret: str, provider: str, flow: str, begun: str) -> Flow:
    state, nonce, verifier = (
        _encoded(hmac.digest(secret.encode(), f"{use} {provider} {flow} {begun}".encode(), "sha256"))
        for use in ("state", "nonce", "verifier")
    )
    return Flow(f"{flow}.{begun}.{state}", nonce, verifier)


def _encoded(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()
