"""The person whom a provider knows."""

from __future__ import annotations

import json
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies

from opa import RefusedCredentialError
from opa.plugins.access_sessions.oidc.provider import Provider
from opa.settings.oidc_providers import SignInRule
from tests.json_values import json_values

ISSUER = "https://login.example.com"


def provider(*rules: dict[str, Any], **settings: Any) -> Provider:
    allowed = [SignInRule(**rule).model_dump() for rule in rules]
    entry = {"ISSUER": ISSUER, "CLIENT_ID": "shop", "CLIENT_SECRET": "secret", "LABEL": "", "ALLOW": allowed}
    return Provider.from_setting("acme", {**entry, **settings})


EVERYONE = provider({"EVERYONE": True, "SCOPES": ["a"]})

JSON = json_values()
CLAIMS = strategies.dictionaries(
    strategies.sampled_from(["email", "email_verified", "name", "groups", "realm_access", "hd"]), JSON
)


@hypothesis.given(CLAIMS)
def test_any_claims_of_a_token_are_a_person_or_refused(claims: dict[str, Any]) -> None:
    said = {"sub": "1", **claims}
    person = EVERYONE.person(said)
    assert person.actor.id == person.key == f"{ISSUER}|1"
    assert person.shown
    assert person.kept is not None
    assert json.loads(json.dumps(person.kept.record)) == person.kept.record
    assert EVERYONE.person_of(person.kept) == person
    strict = provider(
        {"EMAIL": "ada@example.com"},
        {"EMAIL_DOMAIN": "example.com"},
        {"CLAIMS": {"groups": "planted", "realm_access.roles": "planted"}},
    )
    with pytest.raises(RefusedCredentialError, match="no rule in ALLOW"):
        strict.person(said)


@pytest.mark.parametrize(
    ("claims", "shown"),
    [
        ({"email": "ada@example.com", "email_verified": True, "name": "Ada"}, "ada@example.com"),
        ({"email": "ada@example.com", "name": "Ada"}, "Ada"),
        ({"email": "ada@example.com"}, "1"),
        ({"name": "A\nda"}, "1"),
        ({"name": "  "}, "1"),
        ({"name": "A" * 5000}, "A" * 100),
    ],
    ids=lambda value: str(value)[:40],
)
def test_the_page_shows_a_verified_address_or_a_name_or_the_subject(claims: dict[str, Any], shown: str) -> None:
    person = EVERYONE.person({"sub": "1", **claims})
    assert person.shown == shown
    assert ("email" in person.actor.claims) is (shown == "ada@example.com")


def test_the_version_is_that_of_who_may_sign_in() -> None:
    same = provider({"EVERYONE": True, "SCOPES": ["a"]}, CLIENT_SECRET="another", LABEL="Acme")
    assert EVERYONE.version == same.version
    others = [
        provider({"EVERYONE": True, "SCOPES": ["b"]}),
        provider({"SUBJECT": "1", "SCOPES": ["a"]}),
        provider({"EVERYONE": True, "SCOPES": ["a"]}, CLIENT_ID="other"),
        provider({"EVERYONE": True, "SCOPES": ["a"]}, ISSUER="https://other.example.com"),
    ]
    assert len({EVERYONE.version, *(other.version for other in others)}) == 5


def test_the_label_is_the_name_where_there_is_none() -> None:
    assert (EVERYONE.label, provider({"SUBJECT": "1"}, LABEL="Acme").label) == ("acme", "Acme")
