"""The keys that an issuer has published, a JWKS (RFC 7517), or the secret that it has in place of them."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from joserfc.errors import JoseError
from joserfc.jwk import JWKRegistry, Key, OctKey
from joserfc.jws import JWSRegistry

from opa.logging.logger import log

MAX_KEYS = 100
RSA_BITS = range(2048, 8192 + 1)
"""Those of fewer can be broken, and those of more take long."""

_PRIVATE = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
_SYMMETRIC = "oct"
_ASYMMETRIC = ("RSA", "EC", "OKP")


class Keys(Protocol):
    """Where the key of a token is found."""

    async def find(self, kid: str | None, algorithm: str) -> Key:
        """The key with this id that signs with `algorithm`.

        Raises:
            RefusedCredentialError: there is none.
            ComponentUnavailableError: the keys cannot be had.
        """


class SecretKey:
    """A secret of the settings: whatever id a token names, it is this one."""

    def __init__(self, secret: str) -> None:
        self._key = OctKey.import_key(secret)

    async def find(self, kid: str | None, algorithm: str) -> Key:
        """As `Keys` has it."""
        return self._key


@dataclass(frozen=True)
class PublishedKeys:
    """Those of a JWKS that verify signatures."""

    keys: Sequence[Key]

    def find(self, kid: str | None, algorithm: str) -> Key | None:
        """The key with this id; without one, the only key that signs with `algorithm`."""
        fitting = [key for key in self.keys if kid in (None, key.get("kid")) and _fits(key, algorithm)]
        return fitting[0] if fitting and (kid is not None or len(fitting) == 1) else None


def published_keys(document: Any, issuer: str) -> PublishedKeys:
    """The keys of a JWKS; those that cannot be used, or not safely, are left out.

    Args:
        document: the JWKS.
        issuer: whose it is, for the log.

    Raises:
        ValueError: it is none.
    """
    listed = document.get("keys") if isinstance(document, Mapping) else None
    if not isinstance(listed, list):
        raise ValueError("it has no list of keys")
    if len(listed) > MAX_KEYS:
        raise ValueError(f"it has more than {MAX_KEYS} keys")
    found: list[Key] = []
    for data in listed:
        if isinstance(data, Mapping) and _is_for_something_else(data):
            continue
        problem = _problem_of(data)
        if problem is None:
            try:
                found.append(JWKRegistry.import_key(data))
            except Exception as error:  # noqa: BLE001 - whatever a damaged key leads to; the others may be good
                problem = f"it cannot be read: {type(error).__name__}"
        if problem is not None:
            log.warning("A key of the issuer {} is not used: {}", issuer, problem)
    return PublishedKeys(found)


def _is_for_something_else(data: Mapping[str, Any]) -> bool:
    """Whether a key encrypts, or is of a kind that nobody knew of when this was written."""
    return data.get("use", "sig") != "sig" or data.get("kty") not in (*_ASYMMETRIC, _SYMMETRIC, None)


def _problem_of(data: Any) -> str | None:
    """Why a key of a JWKS must not be used."""
    if not isinstance(data, dict) or "kty" not in data:
        return "it is not a key"
    if data["kty"] == _SYMMETRIC:
        return "it is a secret that is published, so that anyone can sign with it"
    if not _PRIVATE.isdisjoint(data):
        return "its private part is published, so that anyone can sign with it"
    if data["kty"] == "RSA" and _bits(data.get("n")) not in RSA_BITS:
        return f"it has fewer than {RSA_BITS[0]} bits, or more than {RSA_BITS[-1]}"
    return None


def _bits(modulus: Any) -> int:
    if not isinstance(modulus, str) or not modulus.isascii():
        return 0
    try:
        data = base64.urlsafe_b64decode(modulus + "=" * (-len(modulus) % 4))
    except ValueError:
        return 0
    return int.from_bytes(data).bit_length()


def _fits(key: Key, algorithm: str) -> bool:
    known = JWSRegistry.algorithms.get(algorithm)
    if known is None:  # a token may name any
        return False
    try:
        known.check_key(key)
        key.check_key_op("verify")
    except JoseError:
        return False
    return True
