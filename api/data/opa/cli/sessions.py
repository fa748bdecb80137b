"""`opa sessions`: ends the sessions of people who have signed in."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from opa.cli.audited import audited, with_client
from opa.cli.program import app

if TYPE_CHECKING:
    from opa.core.manager import PluginManager
    from opa.settings.config import Config

sessions = typer.Typer(name="sessions", help="End the sessions of people who have signed in.", no_args_is_help=True)
app.add_typer(sessions)


@sessions.callback()
def group() -> None:
    """Of one command the group would not be one."""


@sessions.command()
def end(
    user: Annotated[
        str | None, typer.Option("--user", help="Whose sessions end: a name in USERS, or the id in the audit log.")
    ] = None,
    everyone: Annotated[bool, typer.Option("--all", help="Those of everyone.")] = False,
) -> None:
    """End sessions, in every process at once: who had one has to sign in again."""
    from opa.errors import OpaError

    if (user is None) is not everyone:
        raise typer.BadParameter("give either of them: --user NAME, or --all", param_hint="--user / --all")
    manager = _manager()
    if user is not None and not _may_have_sessions(user, manager.config):
        raise OpaError(
            f"USERS has no '{user}', and it is no id of somebody whom a provider in OIDC_PROVIDERS knows",
            hint="Such an id is ISSUER|SUBJECT. Sessions of who was taken out end when the api starts anew",
        )
    asyncio.run(_end(manager, user))
    print(f"the sessions of {'everyone' if user is None else repr(user)} have ended, in every process")
    audited(manager, "sessions.end", user="all" if user is None else user)


def _may_have_sessions(user: str, config: Config) -> bool:
    issuer, _, subject = user.partition("|")
    issuers = [provider.ISSUER for provider in config.OIDC_PROVIDERS.values()]
    return user in config.USERS or (issuer in issuers and subject != "")


async def _end(manager: PluginManager, user: str | None) -> None:
    from opa.plugins.access_sessions.component import COMPONENT
    from opa.plugins.access_sessions.store import store_of

    await with_client(manager, COMPONENT, lambda _: store_of(manager).end_all(user))


def _manager() -> PluginManager:
    from opa.bootstrap import prepare
    from opa.cli.beside_up import load_beside_up

    return prepare(load_beside_up(quiet=True))
