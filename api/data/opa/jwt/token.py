"""A JWT as a request brings it (RFC 7519, signed as RFC 7515 has it): strictly read, and then verified.

Nothing that it says of keys is believed: `jwk`, `jku`, `x5c` and `x5u` in its header are not looked at.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from joserfc.errors import JoseError, UnsupportedAlgorithmError
from joserfc.jwa import JWSAlgModel
from joserfc.jwk import Key
from joserfc.jws import JWSRegistry, deserialize_compact

from opa.errors import RefusedCredentialError

MAX_BYTES = 8192
MAX_LEVELS = 20
"""Of objects and lists in one another."""

_LOOKS_LIKE_JWT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_TYPES = frozenset({"jwt", "at+jwt", "application/at+jwt"})
"""Of tokens that tell who a caller is. Others are signed with the same keys: to log out, of events, as a proof."""


@dataclass(frozen=True)
class Token:
    """What a token says, which nobody has verified yet."""

    text: str
    algorithm: str
    kid: str | None
    claims: Mapping[str, Any]


def read(text: str) -> Token:
    """Read a token.

    Raises:
        RefusedCredentialError: it is none, or uses what is not supported.
    """
    if len(text) > MAX_BYTES:
        raise RefusedCredentialError(f"a token has more than {MAX_BYTES} bytes")
    if not _LOOKS_LIKE_JWT.fullmatch(text):
        raise RefusedCredentialError("a token is not signed, or is no JWT")
    first, second, _ = text.split(".")
    header = _object(first, "header")
    kind, algorithm, kid = header.get("typ", "JWT"), header.get("alg"), header.get("kid")
    if not isinstance(kind, str) or kind.lower() not in _TYPES:
        raise RefusedCredentialError("a token is of another type, by typ in its header")
    if not isinstance(algorithm, str) or not isinstance(kid, str | None):
        raise RefusedCredentialError("the header of a token has an alg or kid that is not a text")
    if "crit" in header or "b64" in header:
        raise RefusedCredentialError("a token needs an extension of JWS, by crit or b64 in its header")
    return Token(text, algorithm, kid, _object(second, "content"))


def _object(segment: str, name: str) -> dict[str, Any]:
    try:
        text = base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4)).decode()
        value = json.loads(text, object_pairs_hook=_each_once, parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise RefusedCredentialError(f"the {name} of a token is not JSON, or has a key twice") from None
    if not isinstance(value, dict):
        raise RefusedCredentialError(f"the {name} of a token is not a JSON object")
    if _is_deep(value):
        raise RefusedCredentialError(f"the {name} of a token is nested too deeply")
    return value


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError
    return found


def _refuse(_constant: str) -> NoReturn:
    raise ValueError


def _is_deep(value: Any) -> bool:
    level = [value]
    for _ in range(MAX_LEVELS):
        inner = (each.values() if isinstance(each, dict) else each for each in level if isinstance(each, dict | list))
        level = [item for items in inner for item in items]
        if not level:
            return False
    return True


class Signatures:
    """Verifies those of one issuer.

    Args:
        algorithms: that it may sign with.
    """

    def __init__(self, algorithms: Collection[str]) -> None:
        self.algorithms = frozenset(algorithms)
        self._registry = _Registry(algorithms=self.algorithms, strict_check_header=False)

    def verify(self, token: Token, key: Key) -> None:
        """See that the token is signed with the key.

        Raises:
            RefusedCredentialError: it is not.
        """
        try:
            deserialize_compact(token.text, key, registry=self._registry)
        except JoseError as error:
            raise RefusedCredentialError(f"a signature is not right: {error.error}") from None


class _Registry(JWSRegistry):
    max_header_length = max_payload_length = max_signature_length = MAX_BYTES

    def get_alg(self, name: str) -> JWSAlgModel:
        """The algorithm, if it is allowed. joserfc itself warns of EdDSA, which is in wide use, with each token."""
        if name not in (self.allowed or ()):
            raise UnsupportedAlgorithmError
        return self.algorithms[name]
