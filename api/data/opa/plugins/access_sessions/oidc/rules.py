"""Who may sign in: the rules in ALLOW, applied to what a provider has said of a person."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from opa.jwt import claim_in, is_one_of


def scopes_by(rules: Iterable[Mapping[str, Any]], claims: Mapping[str, Any]) -> frozenset[str] | None:
    """What a person may do: the scopes of all rules that fit; None where none does, and the person may not sign in."""
    fitting = [rule for rule in rules if _fits(rule, claims)]
    return frozenset(scope for rule in fitting for scope in rule["SCOPES"]) if fitting else None


def verified_email(claims: Mapping[str, Any]) -> str:
    """The mail address, in lower case; empty where the provider does not say that it is the person's.

    Beyond ASCII, letters that look alike have one lower case.
    """
    email, is_verified = claims.get("email"), claims.get("email_verified")
    if not isinstance(email, str) or not (is_verified is True or is_verified == "true"):
        return ""
    return email.lower() if email.isascii() and email.isprintable() and "@" in email and len(email) < 255 else ""


def _fits(rule: Mapping[str, Any], claims: Mapping[str, Any]) -> bool:
    """Whether all that a rule says is so; a rule that says nothing is that for everyone."""
    email = verified_email(claims)
    if rule["EMAIL"] and email not in rule["EMAIL"]:
        return False
    if rule["EMAIL_DOMAIN"] and email.rpartition("@")[2] not in rule["EMAIL_DOMAIN"]:
        return False
    if rule["SUBJECT"] and claims["sub"] not in rule["SUBJECT"]:
        return False
    return all(is_one_of(claim_in(claims, name), expected) for name, expected in rule["CLAIMS"].items())
