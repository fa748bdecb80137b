"""What the setting JWT_ISSUERS may hold: where the keys of an issuer come from, and what they sign with."""

from collections import Counter
from collections.abc import Collection, Sequence
from typing import Annotated, Final
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, field_validator

from opa._util.hosts import is_loopback
from opa._util.patterns import lazy_pattern
from opa.settings.envs import DEVELOPMENT, current_envs
from opa.settings.field_types import ClaimValue, Seconds, TextList, UpperKeys, no_switch, none_or
from opa.settings.quoting import QuotingError

ASYMMETRIC: Final = (
    *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    *("ES256", "ES384", "ES512", "Ed25519", "Ed448", "EdDSA"),
)
SYMMETRIC: Final = {"HS256": 32, "HS384": 48, "HS512": 64}
"""Bytes that a secret has at least, by RFC 7518."""

_TEXT = lazy_pattern(r"[!-~]{1,255}")
_SECURE, _PLAIN = "https://", "http://"


def issuer(value: str) -> str:
    """The name of an issuer, as it stands in a token; often a URL, letter by letter.

    Raises:
        ValueError: it can be none, or is one that anybody on the way could speak for.
    """
    if not _TEXT.fullmatch(value):
        raise ValueError(
            "should be the issuer as its tokens have it, such as https://login.example.com, without spaces"
        )
    return url(value) if value.startswith(_PLAIN) else value


def url(value: str) -> str:
    """The URL of an issuer or of its keys.

    Raises:
        ValueError: it is none, or not encrypted.
    """
    try:
        parts = urlsplit(value)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host, parts = None, urlsplit("")
    if not (host and _TEXT.fullmatch(value) and value.startswith((_SECURE, _PLAIN))) or parts.fragment:
        raise ValueError("should be a URL such as https://login.example.com")
    if parts.username is not None:
        raise ValueError("should have no user or password in it")
    if value.startswith(_PLAIN) and not (_is_on_this_machine(host) and DEVELOPMENT in current_envs()):
        raise ValueError("should begin with https://; http:// is for localhost with ENV=dev alone")
    return value


def jwks_url(value: str | None, name: str, secret: str | None) -> str | None:
    """Where the keys of an issuer are; None where it has a secret, or tells itself where its keys are.

    Args:
        name: the issuer.
        secret: that it has in place of keys.

    Raises:
        ValueError: the keys cannot be there.
    """
    if value is not None and secret is not None:
        raise ValueError("should not be there beside SECRET: an issuer has published keys, or a secret")
    if value is not None:
        return url(value)
    if secret is None and not name.startswith((_SECURE, _PLAIN)):
        raise QuotingError(
            f'should say where the keys of "{name}" are, since that is no URL',
            general="should say where the keys are, since ISSUER is no URL",
        )
    return None


def algorithms(values: Sequence[str], secret: str | None) -> list[str]:
    """The algorithms that tokens of an issuer may be signed with; of no values, those that fit its keys.

    Raises:
        ValueError: one of them is none, or does not fit.
    """
    if not values:
        return _of_secret(secret) if secret is not None else list(ASYMMETRIC)
    known: Collection[str] = SYMMETRIC if secret is not None else ASYMMETRIC
    for value in values:
        if value not in known:
            problem = _why_not(value, secret)
            raise QuotingError(f'should not have "{value}": {problem}', general=f"has one that is wrong: {problem}")
        if secret is not None and len(secret.encode()) < SYMMETRIC[value]:
            raise ValueError(f"should not have {value} with a SECRET of fewer than {SYMMETRIC[value]} bytes")
    return list(values)


def secret(value: str | None) -> str | None:
    """A secret that an issuer signs with, where it has no keys.

    Raises:
        ValueError: it is too short, or a key that is not secret.
    """
    if value is not None and "-----BEGIN" in value:
        raise ValueError("should be a secret, and not a key in PEM; for a key pair, publish the public one at JWKS_URL")
    if value is not None and not _of_secret(value):
        raise ValueError(f"should have {min(SYMMETRIC.values())} bytes or more")
    return value


def _of_secret(text: str) -> list[str]:
    return [name for name, size in SYMMETRIC.items() if len(text.encode()) >= size]


def _why_not(value: str, text: str | None) -> str:
    if value.lower() == "none":
        return "such a token is not signed"
    if value in SYMMETRIC:
        return "it needs SECRET; published keys would be its secret, and anyone could sign"
    if value in ASYMMETRIC:
        return "with SECRET, write HS256, HS384 or HS512, or nothing"
    return f"there are {', '.join(SYMMETRIC if text is not None else ASYMMETRIC)}"


def _is_on_this_machine(host: str) -> bool:
    return is_loopback(host) or host.endswith(".localhost")


class JwtIssuer(UpperKeys):
    """One of JWT_ISSUERS."""

    ISSUER: Annotated[str, AfterValidator(issuer)]
    SECRET: Annotated[str | None, BeforeValidator(none_or), AfterValidator(secret)] = None
    JWKS_URL: Annotated[str | None, BeforeValidator(none_or), Field(validate_default=True)] = None
    ALGORITHMS: Annotated[TextList, Field(validate_default=True)] = []
    CLAIMS: dict[str, ClaimValue | list[ClaimValue]] = {}
    AUDIENCE: Annotated[TextList | None, BeforeValidator(none_or)]
    SCOPES_CLAIM: str = "scope"
    SCOPES_PREFIX: str = ""
    SCOPES: TextList = []
    LEEWAY: Annotated[float, BeforeValidator(no_switch), Field(ge=0, le=600, allow_inf_nan=False)] = 60
    JWKS_REFRESH: Annotated[Seconds, Field(ge=30)] = 600
    JWKS_KEEP: Annotated[float, BeforeValidator(no_switch), Field(ge=0, allow_inf_nan=False)] = 86400

    # Of a field that is wrong, those after it are not judged by: it is reported once.

    @field_validator("JWKS_URL")
    @classmethod
    def _where_keys_are(cls, value: str | None, info: ValidationInfo) -> str | None:
        is_judged = {"ISSUER", "SECRET"} <= info.data.keys()
        return jwks_url(value, info.data["ISSUER"], info.data["SECRET"]) if is_judged else value

    @field_validator("ALGORITHMS")
    @classmethod
    def _of_its_keys(cls, value: list[str], info: ValidationInfo) -> list[str]:
        return algorithms(value, info.data["SECRET"]) if "SECRET" in info.data else value

    @field_validator("AUDIENCE")
    @classmethod
    def _for_us(cls, value: list[str] | None, info: ValidationInfo) -> list[str] | None:
        if value is not None and not value:
            raise ValueError("should name who the tokens are for, as their claim aud has it")
        if value is None and not info.data.get("CLAIMS", True):
            raise ValueError("should be null only with CLAIMS, or a token for anybody else is good here")
        return value


def each_once(values: list[JwtIssuer]) -> list[JwtIssuer]:
    """The issuers, none of which is there twice.

    Raises:
        ValueError: one is.
    """
    doubles = [name for name, count in Counter(value.ISSUER for value in values).items() if count > 1]
    if doubles:
        general = "should have each issuer once; AUDIENCE may be a list"
        raise QuotingError(f'should have "{doubles[0]}" once; AUDIENCE may be a list', general=general)
    return values
