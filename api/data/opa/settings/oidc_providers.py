"""What the setting OIDC_PROVIDERS may hold: with whom people sign in, and which of them may."""

import re
from collections.abc import Collection, Mapping
from typing import Annotated, Any, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from opa.settings.envs import current_envs
from opa.settings.field_types import ClaimValue, Scopes, TextList, UpperKeys, none_or
from opa.settings.jwt_issuers import issuer, url
from opa.settings.quoting import QuotingError

SETTING = "OIDC_PROVIDERS"
OPENID = "openid"

_DEVELOPMENT = "dev"
_CONDITIONS = ("EMAIL", "EMAIL_DOMAIN", "SUBJECT", "CLAIMS")
# Not compiled here: most starts have no provider to check.
_EMAIL = r"[!-?A-~]+@[a-z0-9.-]+"
_DOMAIN = r"[a-z0-9-]+(?:\.[a-z0-9-]+)+"
_TEXT = r"[!-~]{1,1024}"


def provider_issuer(value: str) -> str:
    """The URL of a provider, as its tokens have it.

    Raises:
        ValueError: it is none, or not encrypted.
    """
    return url(issuer(value))


def credential(value: str) -> str:
    """The id or the secret by which a provider knows us.

    Raises:
        ValueError: it can be none.
    """
    if re.fullmatch(_TEXT, value) is None:
        raise ValueError("should be what the provider has given you, without spaces")
    return value


def emails(values: list[str]) -> list[str]:
    """Mail addresses, in lower case.

    Raises:
        ValueError: one of them is none, or there are none.
    """
    return [_lower(value, _EMAIL, "an address such as ada@example.com, in ASCII") for value in not_empty(values)]


def email_domains(values: list[str]) -> list[str]:
    """What stands behind the @ of mail addresses, in lower case.

    Raises:
        ValueError: one of them is none, or there are none.
    """
    return [
        _lower(value, _DOMAIN, "the part of addresses behind the @, such as example.com") for value in not_empty(values)
    ]


def not_empty(values: list[str]) -> list[str]:
    """The values of a condition.

    Raises:
        ValueError: there are none, which would let in everyone whom the other conditions fit.
    """
    if not values:
        raise ValueError("should not be empty; leave it out if this condition does not matter")
    return values


def _lower(value: str, pattern: str, what: str) -> str:
    if re.fullmatch(pattern, value.lower()) is None:
        raise QuotingError(f'should not have "{value}", which is not {what}', general=f"has what is not {what}")
    return value.lower()


def check_rule(rule: Mapping[str, Any]) -> None:
    """See that a rule of ALLOW says who it is of.

    Raises:
        ValueError: it says nothing of it, or that it is everyone and only some.
    """
    said = [name for name in _CONDITIONS if rule[name]]
    if not said and not rule["EVERYONE"]:
        raise ValueError(f"should say who may sign in: {', '.join(_CONDITIONS)}, or EVERYONE: true")
    if said and rule["EVERYONE"]:
        raise ValueError(f"should have EVERYONE or {said[0]}, not both")


def check_allowed(rules: Collection[Any]) -> None:
    """See that anyone may sign in at all.

    Raises:
        ValueError: nobody may.
    """
    if not rules:
        raise ValueError('should say who may sign in, such as [{EMAIL: "ada@example.com", SCOPES: ["docs:read"]}]')


def start_path(sign_in_url: str, name: str) -> str:
    """The path by which one begins to sign in with a provider."""
    return f"{sign_in_url}/{name}"


def callback_path(sign_in_url: str, name: str) -> str:
    """The path to which a provider sends the browser back."""
    return f"{start_path(sign_in_url, name)}/callback"


def check_redirects(
    providers: Mapping[str, Any], sign_in_url: str | None, sign_out_url: str | None, trusted_hosts: Collection[str]
) -> None:
    """See that each provider sends the browser back to where we are.

    Args:
        providers: the redirect URLs by their names; None where it is made of the host that the browser asks for.
        sign_in_url: path of the page; None where it is wrong itself.
        sign_out_url: the same.
        trusted_hosts: as the setting has them.

    Raises:
        QuotingError: one does not, or anybody could say where.
    """
    knows_hosts = bool(trusted_hosts) and "*" not in trusted_hosts
    for name, redirect_url in providers.items():
        path = callback_path(sign_in_url or "", name)
        if redirect_url is None and not knows_hosts and _DEVELOPMENT not in current_envs():
            problem = (
                "should say by REDIRECT_URL where {} sends the browser back, such as https://api.example.com{}, or"
                " TRUSTED_HOSTS should name our hosts: else the Host of a request says it"
            )
            raise QuotingError(problem.format(name, path), general=problem.format("each", callback_path("…", "NAME")))
        if redirect_url is not None and sign_in_url is not None and not urlsplit(redirect_url).path.endswith(path):
            problem = "should have a REDIRECT_URL of {} that ends with {}"
            raise QuotingError(problem.format(name, path), general=problem.format("each", callback_path("…", "NAME")))
        if sign_in_url is not None and sign_out_url in (path, start_path(sign_in_url, name)):
            problem = "should not have a provider whose path is SIGN_OUT_URL"
            raise QuotingError(f'{problem}: "{name}"', general=problem)


def redirect_url(value: str | None) -> str | None:
    """Where a provider sends the browser back.

    Raises:
        ValueError: it is no URL, or one to which it cannot.
    """
    if value is None:
        return None
    if "?" in value:
        raise ValueError("should have no ? in it")
    return url(value)


def requested(values: list[str]) -> list[str]:
    """The scopes that a provider is asked for.

    Raises:
        ValueError: without openid, it does not say who signs in.
    """
    if OPENID not in values:
        raise ValueError("should have openid, or the provider does not say who signs in")
    return values


class SignInRule(UpperKeys):
    """One of ALLOW of a provider: who may sign in, and what they may do then."""

    EMAIL: Annotated[TextList, AfterValidator(emails)] = []
    EMAIL_DOMAIN: Annotated[TextList, AfterValidator(email_domains)] = []
    SUBJECT: Annotated[TextList, AfterValidator(not_empty)] = []
    CLAIMS: dict[str, ClaimValue | list[ClaimValue]] = {}
    EVERYONE: bool = False
    SCOPES: Scopes = []

    @model_validator(mode="after")
    def _has_conditions(self) -> Self:
        check_rule({name: getattr(self, name) for name in type(self).model_fields})
        return self


def _some_rules(rules: list[SignInRule]) -> list[SignInRule]:
    check_allowed(rules)
    return rules


class OidcProvider(UpperKeys):
    """One of OIDC_PROVIDERS."""

    ISSUER: Annotated[str, AfterValidator(provider_issuer)]
    CLIENT_ID: Annotated[str, AfterValidator(credential)]
    CLIENT_SECRET: Annotated[str, AfterValidator(credential)]
    ALLOW: Annotated[list[SignInRule], AfterValidator(_some_rules)]
    LABEL: Annotated[str, Field(max_length=100)] = ""
    REQUESTED_SCOPES: Annotated[TextList, AfterValidator(requested)] = ["openid", "email", "profile"]
    REDIRECT_URL: Annotated[str | None, BeforeValidator(none_or), AfterValidator(redirect_url)] = None
