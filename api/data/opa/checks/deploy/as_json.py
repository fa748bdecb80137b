"""What `opa check --deploy --json` prints: a list of objects of one form, without secrets."""

from __future__ import annotations

from collections.abc import Iterable

from opa._util.masking.secrets import mask_text
from opa._util.printable import json_text
from opa.checks.deploy.check import Level
from opa.checks.deploy.results import MISTAKE, Result
from opa.checks.finding import Finding
from opa.errors import OpaError, SettingsError


def results_as_json(results: Iterable[Result]) -> str:
    """All that was found, also what is silenced."""
    return json_text(
        [_entry(each.id, each.level, each.finding, each.silenced, stops_start=each.stops_start) for each in results]
    )


def error_as_json(error: OpaError) -> str:
    """A mistake with which nothing starts; where it is several of the settings, each of them."""
    mistakes = error.mistakes if isinstance(error, SettingsError) and len(error.mistakes) > 1 else ()
    errors = [OpaError(mistake, where=error.where, hint=error.hint) for mistake in mistakes] or [error]
    return json_text([_entry(MISTAKE, Level.ERROR, each, stops_start=True) for each in errors])


def _entry(
    id_: str, level: Level, told: Finding | OpaError, silenced: str | None = None, *, stops_start: bool
) -> dict[str, str | bool | None]:
    texts = {"problem": told.problem, "where": told.where, "hint": told.hint, "silenced": silenced}
    masked = {name: text and mask_text(text) for name, text in texts.items()}
    return {"id": id_, "level": level, **masked, "stops_start": stops_start}
