"""`opa passwd`."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner, Result

from opa import OpaError
from opa.cli.commands import app
from opa.plugins.access_sessions.passwords import PasswordCheck
from tests.project import Project

PASSWORD = "correct horse battery"


def passwd(*arguments: str, given: str | bytes = f"{PASSWORD}\n") -> Result:
    return CliRunner().invoke(app, ["passwd", *arguments], input=given, catch_exceptions=False, env={"COLUMNS": "200"})


def test_opa_passwd_prints_a_settings_file_by_which_its_user_may_sign_in(project: Project) -> None:
    import asyncio

    result = passwd("ada", "--scope", "docs:read", "--scope", "a,b")
    assert result.exit_code == 0, result.output
    (project.folder / "settings" / "90-users.yaml").write_text(result.stdout)

    user = project.config().USERS["ada"]
    assert user["SCOPES"] == ["docs:read", "a", "b"]
    assert asyncio.run(PasswordCheck({"ada": user["PASSWORD"]}).is_right("ada", PASSWORD))
    assert PASSWORD not in result.output


@pytest.mark.parametrize("name", ["007", "null", "0x10", "2026-11-29", "1_000", "True", "no", "1e5"])
def test_any_name_is_one_in_the_settings_file(project: Project, name: str) -> None:
    (project.folder / "settings" / "90-users.yaml").write_text(passwd(name).stdout)
    assert list(project.config().USERS) == [name]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (b"correct horse b\xe4ttery", "not text in UTF-8"),
        ("short\n", "12 characters or more"),
        ("", "12 characters or more"),
        ("a" * 2000, "1024 characters or fewer"),
        (f"{PASSWORD}\n{PASSWORD}\n", "more than one line"),
    ],
)
def test_a_password_that_is_none_is_refused(given: str | bytes, told: str) -> None:
    with pytest.raises(OpaError, match=told) as caught:
        passwd("ada", given=given)
    assert PASSWORD not in str(caught.value)


def test_on_a_terminal_it_asks_twice_and_shows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("opa.cli.passwd._is_terminal", lambda: True)
    result = passwd("ada", given=f"{PASSWORD}\nmistyped the second time\n{PASSWORD}\n{PASSWORD}\n")
    assert result.exit_code == 0, result.output
    assert result.stderr.count("Password") == result.stderr.count("The same again") == 2
    assert "\ndefault:\n" in result.stdout
    assert PASSWORD not in result.output
    assert "mistyped" not in result.output


@pytest.mark.parametrize("arguments", [["two words"], ["ada", "--scope", 'a"b'], []])
def test_opa_passwd_refuses_bad_arguments(arguments: list[str]) -> None:
    assert passwd(*arguments).exit_code == 2


def test_without_the_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(OpaError, match=r"pip install 'opa-stack\[sessions\]'"):
        passwd("ada")
