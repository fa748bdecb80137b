"""Arguments that commands about access take: names, and scopes."""

from __future__ import annotations

from collections.abc import Iterable

import typer


def checked_name(name: str) -> str:
    """The name of an API key or a user.

    Raises:
        BadParameter: it can be none.
    """
    from opa.settings.field_types import entry_name

    try:
        return entry_name(name)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="NAME") from None


def scopes_in(given: Iterable[str]) -> list[str]:
    """Scopes, of which each of `given` may have several with commas between them.

    Raises:
        BadParameter: one of them can be none.
    """
    from opa.settings.field_types import scope

    try:
        return [scope(value) for each in given for value in each.split(",")]
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--scope") from None
