"""`opa sessions`."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner, Result

from opa import ComponentUnavailableError, OpaError
from opa.cli.commands import app
from opa.core.running import set_running
from tests.plugins.access_sessions.people import COOKIE, browser, sign_in, use_sessions
from tests.project import Project


def end(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["sessions", "end", *arguments], catch_exceptions=False, env={"COLUMNS": "200"})


@pytest.mark.parametrize(
    ("arguments", "statuses"),
    [(["--user", "ada"], [401, 403]), (["--user", "ben"], [200, 401]), (["--all"], [401, 401])],
)
def test_sessions_end_in_every_process(
    project: Project, redis_url: str, arguments: list[str], statuses: list[int]
) -> None:
    use_sessions(project, redis_url)
    cookies = []
    with browser(project) as client:
        for user in ("ada", "ben"):
            client.cookies.clear()
            cookies.append(sign_in(client, user).headers["set-cookie"].partition(";")[0])
    set_running(None)
    result = end(*arguments)
    assert result.exit_code == 0, result.output
    assert "have ended, in every process" in result.stdout
    with browser(project) as client:
        found = [client.get("/orders", headers={"Cookie": cookie}).status_code for cookie in cookies]
    assert found == statuses
    assert all(cookie.startswith(COOKIE) for cookie in cookies)


@pytest.mark.parametrize("arguments", [[], ["--user", "ada", "--all"]])
def test_whose_sessions_has_to_be_said(project: Project, arguments: list[str]) -> None:
    assert end(*arguments).exit_code == 2


def test_an_unknown_user_is_a_mistake(project: Project, redis_url: str) -> None:
    use_sessions(project, redis_url)
    with pytest.raises(OpaError, match="USERS has no 'adda'"):
        end("--user", "adda")


def test_sessions_of_who_signed_in_with_a_provider_end_by_the_id_in_the_audit_log(
    project: Project, redis_url: str
) -> None:
    provider = {
        "ISSUER": "https://login.example.com",
        "CLIENT_ID": "shop",
        "CLIENT_SECRET": "secret",
        "ALLOW": [{"EMAIL": "ada@example.com"}],
    }
    use_sessions(project, redis_url, OIDC_PROVIDERS={"acme": provider}, TRUSTED_HOSTS=["testserver"])
    result = end("--user", "https://login.example.com|248289761001")
    assert result.exit_code == 0, result.output
    assert "have ended, in every process" in result.stdout
    for wrong in ("https://login.example.com", "https://login.example.com|", "https://evil.example|248289761001"):
        set_running(None)
        with pytest.raises(OpaError, match="it is not the id of a user"):
            end("--user", wrong)


def test_without_redis_it_says_so(project: Project) -> None:
    with pytest.raises(ComponentUnavailableError, match="'aioredis'"):
        end("--all")
