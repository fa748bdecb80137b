"""What JWT_ISSUERS may hold."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.settings_folder import SettingsFolder

ISSUER = {"issuer": "https://login.example.com", "audience": "https://shop.example.com"}
SECRET = "correct horse battery staple, and much more"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SettingsFolder:
    return SettingsFolder(tmp_path, monkeypatch)


def write(folder: SettingsFolder, *issuers: Any) -> None:
    folder.file("jwt.json", json.dumps({"default": {"JWT_ISSUERS": issuers}}))


def loaded(folder: SettingsFolder) -> Any:
    (issuer,) = folder.load().JWT_ISSUERS
    return issuer


def test_an_issuer_and_an_audience_are_enough(folder: SettingsFolder) -> None:
    write(folder, ISSUER)

    issuer = loaded(folder)
    assert issuer["ISSUER"] == "https://login.example.com"
    assert issuer["AUDIENCE"] == ["https://shop.example.com"]
    assert (issuer["JWKS_URL"], issuer["SECRET"]) == (None, None)
    assert {"RS256", "ES256", "EdDSA"} < set(issuer["ALGORITHMS"])
    assert not {"HS256", "none"} & set(issuer["ALGORITHMS"])


def test_a_variable_may_have_issuers(folder: SettingsFolder) -> None:
    folder.variables(OPA_JWT_ISSUERS=json.dumps([ISSUER]))

    assert loaded(folder)["AUDIENCE"] == ["https://shop.example.com"]


@pytest.mark.parametrize(
    ("secret", "algorithms"),
    [("s" * 32, ["HS256"]), ("s" * 48, ["HS256", "HS384"]), ("s" * 64, ["HS256", "HS384", "HS512"])],
)
def test_a_secret_goes_with_algorithms_that_it_is_long_enough_for(
    folder: SettingsFolder, secret: str, algorithms: list[str]
) -> None:
    write(folder, {**ISSUER, "secret": secret})

    assert loaded(folder)["ALGORITHMS"] == algorithms


@pytest.mark.parametrize(
    ("change", "mistake"),
    [
        ({"issuer": None}, "ISSUER: is null, should be text"),
        ({"issuer": "a b"}, 'ISSUER: is "a b", should be the issuer as its tokens have it'),
        ({"issuer": "http://login.example.com"}, 'ISSUER: is "http://login.example.com", should begin with https://'),
        ({"issuer": "http://localhost:8080"}, "http:// is for localhost with ENV=dev alone"),
        (
            {"issuer": "accounts.google.com"},
            'JWKS_URL: is null, should say where the keys of "accounts.google.com" are',
        ),
        ({"audience": []}, "AUDIENCE: is [], should name who the tokens are for"),
        ({"audience": None}, "AUDIENCE: is null, should be null only with CLAIMS"),
        (
            {"jwks_url": "http://login.example.com/keys"},
            'JWKS_URL: is "http://login.example.com/keys", should begin with',
        ),
        ({"jwks_url": "keys.json"}, 'JWKS_URL: is "keys.json", should be a URL'),
        ({"jwks_url": "file:///keys.json"}, "should be a URL such as https://"),
        ({"jwks_url": "https://[::1"}, "should be a URL such as https://"),
        ({"jwks_url": "https://host:port/"}, "should be a URL such as https://"),
        ({"jwks_url": "https://a:b@login.example.com/"}, "should have no user or password in it"),
        ({"jwks_url": "https://login.example.com/", "secret": SECRET}, "should not be there beside SECRET"),
        ({"algorithms": "none"}, 'ALGORITHMS: is "none", should not have "none": such a token is not signed'),
        ({"algorithms": ["RS256", "HS256"]}, 'should not have "HS256": it needs SECRET'),
        ({"algorithms": "RSA"}, 'should not have "RSA": there are RS256, RS384'),
        ({"algorithms": "RS256", "secret": SECRET}, "with SECRET, write HS256, HS384 or HS512"),
        ({"algorithms": "HS512", "secret": SECRET}, "should not have HS512 with a SECRET of fewer than 64 bytes"),
        ({"algorithms": "A", "secret": SECRET}, 'should not have "A": there are HS256, HS384, HS512'),
        ({"secret": "hunter2"}, 'SECRET: is "***", should have 32 bytes or more'),
        ({"secret": 12345}, 'SECRET: is "***", should be text, in quotes'),
        ({"secret": f"-----BEGIN PUBLIC KEY-----\n{'A' * 64}"}, 'SECRET: is "***", should be a secret, and not a key'),
        ({"secert": SECRET}, "SECERT: is not a key of this mapping"),
        ({"claims": {"hd": ["a", {}]}}, "CLAIMS.hd"),
        ({"leeway": 601}, "LEEWAY: is 601, should be 600 or less"),
        ({"leeway": True}, "LEEWAY: is true, should be a number"),
        ({"jwks_refresh": 1}, "JWKS_REFRESH: is 1, should be 30 or more"),
        ({"jwks_keep": -1}, "JWKS_KEEP: is -1, should be 0 or more"),
    ],
)
def test_a_mistake_is_said_at_start(folder: SettingsFolder, change: dict[str, Any], mistake: str) -> None:
    write(folder, {**ISSUER, **change})

    found = folder.mistakes()
    assert mistake in found[0]
    assert all(line.startswith("JWT_ISSUERS.0.") and line.endswith("(jwt.json [default])") for line in found)
    assert not any(secret in line for line in found for secret in ("hunter2", "12345", SECRET, "AAAA"))


@pytest.mark.parametrize("key", ["issuer", "audience"])
def test_a_missing_field_of_an_issuer_is_told_once(folder: SettingsFolder, key: str) -> None:
    write(folder, {name: value for name, value in ISSUER.items() if name != key})

    assert folder.mistakes() == [f"JWT_ISSUERS.0.{key.upper()}: is missing (jwt.json [default])"]


def test_an_issuer_is_there_once(folder: SettingsFolder) -> None:
    write(folder, ISSUER, {**ISSUER, "audience": "other", "secret": SECRET})

    (mistake,) = folder.mistakes()
    assert 'should have "https://login.example.com" once; AUDIENCE may be a list' in mistake
    assert SECRET not in mistake


@pytest.mark.parametrize("host", ["localhost:8080", "127.0.0.1", "[::1]:8080", "login.localhost"])
def test_an_issuer_of_this_machine_needs_no_certificate_in_development(folder: SettingsFolder, host: str) -> None:
    folder.variables(ENV="dev")
    write(folder, {**ISSUER, "issuer": f"http://{host}"})

    assert loaded(folder)["ISSUER"] == f"http://{host}"


@pytest.mark.parametrize("host", ["login.example.com", "127.0.0.1.example.com", "10.0.0.1", "localhost.example.com"])
def test_any_other_needs_one_in_development_too(folder: SettingsFolder, host: str) -> None:
    folder.variables(ENV="dev")
    write(folder, {**ISSUER, "issuer": f"http://{host}"})

    assert "should begin with https://" in folder.mistakes()[0]


def test_an_issuer_that_is_no_url_has_its_keys_at_one(folder: SettingsFolder) -> None:
    write(folder, {**ISSUER, "issuer": "accounts.google.com", "jwks_url": "https://login.example.com/keys"})
    assert loaded(folder)["ISSUER"] == "accounts.google.com"
    write(folder, {**ISSUER, "issuer": "backend", "secret": SECRET})
    assert loaded(folder)["ISSUER"] == "backend"


def test_claims_may_take_the_place_of_an_audience(folder: SettingsFolder) -> None:
    write(folder, {**ISSUER, "audience": None, "claims": {"client_id": "shop", "levels": [1, True, "x"]}})

    issuer = loaded(folder)
    assert issuer["AUDIENCE"] is None
    assert issuer["CLAIMS"] == {"client_id": "shop", "levels": [1, True, "x"]}
    assert [type(level) for level in issuer["CLAIMS"]["levels"]] == [int, bool, str]
