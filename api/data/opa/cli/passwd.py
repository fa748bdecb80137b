"""`opa passwd`: hashes the password of a user who signs in, for the setting USERS.

It is no command of the plugin `access_sessions`: it needs no project that loads, since its output may be what is
missing.
"""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer

from opa.cli.program import app
from opa.commands import checked_name, scopes_in, yaml_name

SETTING = "USERS"


@app.command()
def passwd(
    name: Annotated[str, typer.Argument(help="The name of the user.")],
    scopes: Annotated[
        list[str] | None, typer.Option("--scope", help="A scope that the user has, such as docs:read; repeat for more.")
    ] = None,
) -> None:
    """Ask for a password, and print its hash for the setting USERS. Nobody can sign in with the hash.

    The password is asked for twice, and not shown. From a pipe or a file, one line is read.
    """
    name, allowed = checked_name(name), scopes_in(scopes or [])
    hashed = _hashed(name, _asked() if _is_terminal() else _read())
    typer.echo(f"default:\n  {SETTING}:\n    {yaml_name(name)}:\n      PASSWORD: {json.dumps(hashed)}")
    typer.echo(f"      SCOPES: {json.dumps(allowed)}")
    typer.echo(
        "Put this into a settings file, and restart the api. Who has signed in as this user so far has to do so again.",
        err=True,
    )


def _is_terminal() -> bool:
    return sys.stdin.isatty()


def _asked() -> str:
    given: str = typer.prompt("Password", hide_input=True, confirmation_prompt="The same again", err=True)
    return given


def _read() -> str:
    from opa.errors import OpaError

    try:
        text = sys.stdin.read().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:  # which shows what it could not decode
        raise OpaError("the password is not text in UTF-8", hint="Give it as such on standard input") from None
    if "\n" in text:
        raise OpaError("the password has more than one line", hint="Give it in one line on standard input")
    return text


def _hashed(name: str, password: str) -> str:
    from importlib.util import find_spec

    from opa.checks.deploy.guessable import is_known
    from opa.errors import OpaError

    if find_spec("argon2") is None:
        raise OpaError(
            "opa passwd needs the package argon2-cffi, which is not installed",
            hint="Install it: pip install 'opa-stack[sessions]'",
        )
    from opa.plugins.access_sessions.passwords import hash_of

    try:
        if is_known(password) or password.lower() == name.lower():
            raise ValueError("the password is the name, or a word that everyone would try")
        return hash_of(password)
    except ValueError as error:
        raise OpaError(
            str(error), hint="Several words that have nothing to do with one another are a good one"
        ) from None
