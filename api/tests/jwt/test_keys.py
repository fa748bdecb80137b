"""Which keys of an issuer are used."""

from __future__ import annotations

from typing import Any

import hypothesis
import pytest
from hypothesis import strategies

from opa.jwt.keys import published_keys
from tests.json_values import json_values
from tests.token_issuer import key, public

FIRST, SECOND = key(), key("RSA", 2048, 1)


def test_only_keys_that_are_safe_are_used(capsys: pytest.CaptureFixture[str]) -> None:
    damaged = {**public(SECOND), "kid": "damaged", "n": "!" * 400}
    off_curve = {**public(key("EC", "P-256")), "kid": "off the curve", "y": public(key("EC", "P-256"))["x"]}
    found = published_keys(
        {
            "keys": [
                {**SECOND.as_dict(private=True), "kid": "private"},
                {"kty": "oct", "k": "c2VjcmV0", "kid": "symmetric"},
                {**public(SECOND), "kid": "small", "n": str(public(SECOND)["n"])[:171]},
                {**public(SECOND), "kid": "large", "n": str(public(SECOND)["n"]) * 5},
                damaged,
                off_curve,
                {"kty": "RSA", "kid": "empty"},
                {"kid": "no kind"},
                {"kty": ["RSA"]},
                {"kty": "EC", "crv": "P-999", "x": "AA", "y": "AA"},
                *("text", None, 5, [], {}),
                public(FIRST),
            ]
        },
        "an issuer",
    )

    assert [each.kid for each in found.keys] == [FIRST.kid]
    log = capsys.readouterr().err
    assert "its private part is published, so that anyone can sign with it" in log
    assert "it is a secret that is published" in log
    assert "it has fewer than 2048 bits, or more than 8192" in log


@pytest.mark.parametrize(
    ("said", "algorithm", "fits"),
    [
        ({}, "RS256", True),
        ({}, "PS512", True),
        ({"alg": "RS256"}, "RS256", True),
        ({"alg": "RS256"}, "RS512", False),
        ({"alg": "RS256"}, "PS256", False),
        ({"alg": "RSA-OAEP"}, "RS256", False),
        ({"use": "enc"}, "RS256", False),
        ({"key_ops": ["encrypt"]}, "RS256", False),
        ({"key_ops": []}, "RS256", False),
        ({}, "ES256", False),
        ({}, "HS256", False),
        ({}, "made up", False),
        ({}, "", False),
    ],
)
def test_a_key_verifies_what_it_is_for(said: dict[str, Any], algorithm: str, fits: bool) -> None:
    found = published_keys({"keys": [{**public(SECOND), **said}]}, "an issuer")

    assert (found.find(None, algorithm) is not None) is fits


JSON = json_values("keys", *public(FIRST))
KEY = strategies.dictionaries(
    strategies.sampled_from(["kty", "kid", "use", "alg", "key_ops", "crv", "n", "e", "x", "y", "x5c", "x5u"]),
    strategies.sampled_from(["RSA", "EC", "OKP", "P-256", "Ed25519", "sig", "AQAB", *map(str, public(FIRST).values())])
    | JSON,
)


@hypothesis.given(strategies.lists(KEY, max_size=3).map(lambda listed: {"keys": listed}) | JSON)
@hypothesis.settings(max_examples=50)
def test_any_published_document_is_read_as_keys_or_refused(document: Any) -> None:
    try:
        found = published_keys(document, "an issuer")
    except ValueError:
        return
    assert found.find("an id that no key has", "RS256") is None
