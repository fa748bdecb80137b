"""`opa sessions`: ends the sessions of people who have signed in."""

from __future__ import annotations

from typing import Annotated

import typer

from opa import OpaError, config, get_plugin_manager
from opa.commands import audited, connected, connects
from opa.plugins.access_sessions.component import COMPONENT

commands = typer.Typer()
sessions = typer.Typer(name="sessions", help="End the sessions of signed-in users.", no_args_is_help=True)
commands.add_typer(sessions)


@sessions.callback()
@connects()
def group() -> None:
    """Of one command the group would not be one."""


@sessions.command()
@connects()
async def end(
    user: Annotated[
        str | None, typer.Option("--user", help="Sessions of this user: a name in USERS, or the id in the audit log.")
    ] = None,
    everyone: Annotated[bool, typer.Option("--all", help="Sessions of all users.")] = False,
) -> None:
    """End sessions in every process at once. Their users have to sign in again."""
    from opa.plugins.access_sessions.store import store_of

    if (user is None) is not everyone:
        raise typer.BadParameter("give either of them: --user NAME, or --all", param_hint="--user / --all")
    if user is not None and not _may_have_sessions(user):
        raise OpaError(
            f"USERS has no '{user}', and it is not the id of a user of a provider in OIDC_PROVIDERS",
            hint="Such an id is ISSUER|SUBJECT. Sessions of who was taken out end when the api starts anew",
        )
    async with connected(COMPONENT):
        await store_of(get_plugin_manager()).end_all(user)
    print(f"the sessions of {'everyone' if user is None else repr(user)} have ended, in every process")
    await audited("sessions.end", user="all" if user is None else user)


def _may_have_sessions(user: str) -> bool:
    issuer, _, subject = user.partition("|")
    issuers = [provider.ISSUER for provider in config.OIDC_PROVIDERS.values()]
    return user in config.USERS or (issuer in issuers and subject != "")
