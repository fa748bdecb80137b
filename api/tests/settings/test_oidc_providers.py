"""What OIDC_PROVIDERS may hold."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from opa.cli.commands import app
from opa.errors import SettingsError
from tests.project import Project

SECRET = "planted-client-secret"
GOOGLE: dict[str, Any] = {
    "ISSUER": "https://accounts.google.com",
    "CLIENT_ID": "1234.apps.googleusercontent.com",
    "CLIENT_SECRET": SECRET,
    "ALLOW": [{"CLAIMS": {"hd": "example.com"}, "SCOPES": "docs:read, a"}],
}


@pytest.fixture
def known(project: Project) -> Project:
    project.settings(TRUSTED_HOSTS=["api.example.com"])
    return project


def mistakes(project: Project, **settings: Any) -> list[str]:
    project.settings(**settings)
    with pytest.raises(SettingsError) as caught:
        project.config()
    return list(caught.value.mistakes)


def test_keys_may_be_in_any_case_and_most_have_a_default(known: Project) -> None:
    known.settings(OIDC_PROVIDERS={"google": {name.lower(): value for name, value in GOOGLE.items()}})
    google = known.config().OIDC_PROVIDERS["google"]
    assert google["ISSUER"] == "https://accounts.google.com"
    assert (google["LABEL"], google["REDIRECT_URL"]) == ("", None)
    assert google["REQUESTED_SCOPES"] == ["openid", "email", "profile"]
    (rule,) = google["ALLOW"]
    assert rule == {
        "EMAIL": [],
        "EMAIL_DOMAIN": [],
        "SUBJECT": [],
        "CLAIMS": {"hd": "example.com"},
        "EVERYONE": False,
        "SCOPES": ["docs:read", "a"],
    }


def test_the_secret_may_come_from_a_file_and_is_shown_nowhere(
    known: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "google"
    file.write_text(SECRET + "\n")
    known.settings(OIDC_PROVIDERS={"google": {**GOOGLE, "CLIENT_SECRET": "another"}})
    monkeypatch.setenv("OPA_OIDC_PROVIDERS__GOOGLE__CLIENT_SECRET__FILE", str(file))
    assert known.config().OIDC_PROVIDERS["google"]["CLIENT_SECRET"] == SECRET
    shown = CliRunner().invoke(app, ["config", "--json"], catch_exceptions=False).stdout
    assert json.loads(shown)
    assert "accounts.google.com" in shown
    assert SECRET not in shown


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"ISSUER": "http://accounts.google.com"}, "should begin with https://"),
        ({"ISSUER": "http://localhost:8080"}, "http:// is for localhost with ENV=dev alone"),
        ({"ISSUER": "accounts.google.com"}, "should be a URL such as https://"),
        ({"ISSUER": "https://a:b@login.example.com"}, "should have no user or password in it"),
        ({"CLIENT_ID": ""}, "CLIENT_ID"),
        ({"CLIENT_SECRET": None}, "CLIENT_SECRET"),
        ({"CLIENT_SECRET": "two words"}, "should be what the provider has given you"),
        ({"ALLOW": []}, "should say who may sign in"),
        ({"ALLOW": [{}]}, "should say who may sign in: EMAIL, EMAIL_DOMAIN, SUBJECT, CLAIMS, or EVERYONE: true"),
        ({"ALLOW": [{"SCOPES": ["a"]}]}, "should say who may sign in"),
        ({"ALLOW": [{"EVERYONE": False}]}, "should say who may sign in"),
        ({"ALLOW": [{"EMAIL": [], "EMAIL_DOMAIN": "example.com"}]}, "should not be empty"),
        ({"ALLOW": [{"SUBJECT": [], "EMAIL_DOMAIN": "example.com"}]}, "should not be empty"),
        ({"ALLOW": [{"CLAIMS": {}}]}, "should say who may sign in"),
        ({"ALLOW": [{"EVERYONE": True, "EMAIL": "ada@example.com"}]}, "should have EVERYONE or EMAIL, not both"),
        ({"ALLOW": [{"EMAIL": "ada"}]}, "which is not an address such as ada@example.com"),
        ({"ALLOW": [{"EMAIL_DOMAIN": "@example.com"}]}, "which is not the part of addresses behind the @"),
        ({"ALLOW": [{"EMAIL_DOMAIN": "*.example.com"}]}, "which is not the part of addresses behind the @"),
        ({"ALLOW": [{"EMAIL_DOMAIN": "com"}]}, "which is not the part of addresses behind the @"),
        ({"ALLOW": [{"GROUPS": "admins"}]}, "GROUPS: is not a key of this mapping"),
        ({"ALLOW": [{"EMAIL": "ada@example.com", "SCOPES": ["two words"]}]}, "should be a scope"),
        ({"SCOPES": ["shop:read"]}, "SCOPES: is not a key of this mapping"),
        ({"REQUESTED_SCOPES": "email"}, "should have openid"),
        ({"REDIRECT_URL": "https://api.example.com/callback"}, "that ends with /sign-in/google/callback"),
        ({"REDIRECT_URL": "http://api.example.com/sign-in/google/callback"}, "should begin with https://"),
        ({"REDIRECT_URL": "https://api.example.com/?a=/sign-in/google/callback"}, "should have no ? in it"),
    ],
)
def test_a_mistake_is_said_at_start_without_the_secret(known: Project, change: dict[str, Any], told: str) -> None:
    found = mistakes(known, OIDC_PROVIDERS={"google": {**GOOGLE, **change}})
    assert len(found) == 1, found
    assert told in found[0]
    assert found[0].startswith("OIDC_PROVIDERS")
    assert SECRET not in found[0]


@pytest.mark.parametrize("key", ["ISSUER", "CLIENT_ID", "CLIENT_SECRET", "ALLOW"])
def test_a_missing_field_of_a_provider_is_told(known: Project, key: str) -> None:
    entry = {name: value for name, value in GOOGLE.items() if name != key}
    (found,) = mistakes(known, OIDC_PROVIDERS={"google": entry})
    assert found.startswith(f"OIDC_PROVIDERS.google.{key}: is missing")


@pytest.mark.parametrize("name", ["a/b", "", "two words", "..", "{a}"])
def test_a_provider_has_a_name_that_can_stand_in_a_path(known: Project, name: str) -> None:
    assert len(mistakes(known, OIDC_PROVIDERS={name: GOOGLE})) == 1


@pytest.mark.parametrize("path", ["/sign-in/google", "/sign-in/google/callback"])
def test_signing_out_has_another_path_than_a_provider(known: Project, path: str) -> None:
    (found,) = mistakes(known, OIDC_PROVIDERS={"google": GOOGLE}, SIGN_OUT_URL=path)
    assert "whose path is SIGN_OUT_URL" in found


@pytest.mark.parametrize("hosts", [[], ["*"]])
def test_no_host_of_a_request_says_where_the_browser_is_sent_back(
    project: Project, hosts: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    project.settings(TRUSTED_HOSTS=hosts)
    (found,) = mistakes(project, OIDC_PROVIDERS={"google": GOOGLE})
    assert "should say by REDIRECT_URL where google sends the browser back" in found
    assert "https://api.example.com/sign-in/google/callback" in found
    url = "https://api.example.com/api/sign-in/google/callback"
    project.settings(OIDC_PROVIDERS={"google": {**GOOGLE, "REDIRECT_URL": url}})
    assert project.config().OIDC_PROVIDERS["google"]["REDIRECT_URL"] == url
    project.settings(OIDC_PROVIDERS={"google": GOOGLE})
    monkeypatch.setenv("ENV", "dev")
    assert project.config().OIDC_PROVIDERS["google"]["REDIRECT_URL"] is None
