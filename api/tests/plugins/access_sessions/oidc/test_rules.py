"""Who may sign in, and what they may do then."""

from __future__ import annotations

from typing import Any

import pytest

from opa.plugins.access_sessions.oidc.rules import scopes_by, verified_email
from opa.settings.oidc_providers import SignInRule

ADA: dict[str, Any] = {
    "sub": "1",
    "email": "Ada@Example.com",
    "email_verified": True,
    "hd": "example.com",
    "groups": ["staff", "admins"],
    "realm_access": {"roles": ["editor"]},
}


def scopes(claims: dict[str, Any], *rules: dict[str, Any]) -> set[str] | None:
    found = scopes_by([SignInRule(**rule).model_dump() for rule in rules], claims)
    return None if found is None else set(found)


@pytest.mark.parametrize(
    ("rule", "fits"),
    [
        ({"EMAIL": "ada@example.com"}, True),
        ({"EMAIL": ["eve@example.com", "ADA@EXAMPLE.COM"]}, True),
        ({"EMAIL": "eve@example.com"}, False),
        ({"EMAIL_DOMAIN": "example.com"}, True),
        ({"EMAIL_DOMAIN": ["example.org", "EXAMPLE.com"]}, True),
        ({"EMAIL_DOMAIN": "ample.com"}, False),
        ({"EMAIL_DOMAIN": "www.example.com"}, False),
        ({"SUBJECT": "1"}, True),
        ({"SUBJECT": ["2", "3"]}, False),
        ({"CLAIMS": {"hd": "example.com"}}, True),
        ({"CLAIMS": {"hd": "example.org"}}, False),
        ({"CLAIMS": {"groups": "admins"}}, True),
        ({"CLAIMS": {"groups": ["nobody", "staff"]}}, True),
        ({"CLAIMS": {"groups": "admin"}}, False),
        ({"CLAIMS": {"groups": []}}, False),
        ({"CLAIMS": {"realm_access.roles": "editor"}}, True),
        ({"CLAIMS": {"missing": "a"}}, False),
        ({"CLAIMS": {"email_verified": 1}}, False),
        ({"EVERYONE": True}, True),
        ({"EMAIL": "ada@example.com", "CLAIMS": {"groups": "nobody"}}, False),
        ({"EMAIL": "ada@example.com", "SUBJECT": "1", "CLAIMS": {"groups": "staff", "hd": "example.com"}}, True),
    ],
    ids=str,
)
def test_all_that_a_rule_says_has_to_fit(rule: dict[str, Any], fits: bool) -> None:
    assert scopes(ADA, {**rule, "SCOPES": ["a"]}) == ({"a"} if fits else None)


def test_the_scopes_are_those_of_all_rules_that_fit() -> None:
    rules: list[dict[str, Any]] = [
        {"EMAIL_DOMAIN": "example.com", "SCOPES": ["docs:read"]},
        {"CLAIMS": {"groups": "admins"}, "SCOPES": ["shop:*", "docs:read"]},
        {"SUBJECT": "2", "SCOPES": ["*"]},
    ]
    assert scopes(ADA, *rules) == {"docs:read", "shop:*"}
    assert scopes({"sub": "2"}, *rules) == {"*"}
    assert scopes({"sub": "3"}, *rules) is None


def test_a_rule_without_scopes_lets_in_for_what_needs_none() -> None:
    assert scopes(ADA, {"EMAIL": "ada@example.com"}) == set()


@pytest.mark.parametrize(
    "claims",
    [
        {"email": "ada@example.com"},
        {"email": "ada@example.com", "email_verified": False},
        {"email": "ada@example.com", "email_verified": "false"},
        {"email": "ada@example.com", "email_verified": 1},
        {"email": "ada@example.com", "email_verified": [True]},
        {"email": ["ada@example.com"], "email_verified": True},
        {"email": "ada@e\u212aample.com".replace("\u212a", "\u0445"), "email_verified": True},
        {"email": "\u212aate@example.com", "email_verified": True},
        {"email": "ada@example.com\n", "email_verified": True},
        {"email": "ada", "email_verified": True},
        {"email": "a" * 300 + "@example.com", "email_verified": True},
        {"email_verified": True},
    ],
    ids=str,
)
def test_an_address_counts_where_the_provider_says_that_it_is_verified(claims: dict[str, Any]) -> None:
    assert verified_email(claims) == ""
    assert scopes({"sub": "1", **claims}, {"EMAIL_DOMAIN": "example.com"}) is None
