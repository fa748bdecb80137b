"""Checks merged settings against the schema, and puts everything that is wrong into one line each."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from datetime import date
from typing import Any, NamedTuple, get_args

from pydantic import ValidationError, create_model
from pydantic_core import ErrorDetails

from opa._util.masking.secrets import mask_setting, mask_setting_name
from opa._util.suggestions import misspelt, nearest
from opa.settings.components import COMPONENT_KEYS
from opa.settings.field_types import SecondsOrNone
from opa.settings.names import ALIASES, KNOWN
from opa.settings.quoting import QuotingError
from opa.settings.schema import Settings
from opa.settings.value_files import is_from_file

_CLOSE = 0.88
"""From when on a name that is not known looks like a slip, and not like a setting of the user's own."""
_WITHOUT_PREFIX = frozenset(
    {*("ENV", "WEB_CONCURRENCY", "HEALTH_FILE", "METRICS_FOLDER", "CELERY_PARAMS", "CELERY_COMMAND")}
)
"""Environment variables that are no settings, and have no `OPA_` before them."""
_SHOWN_CHARACTERS = 60

_PROBLEMS = {
    "missing": "is missing",
    "extra_forbidden": "is not a key of this mapping",
    "string_type": "should be text",
    "string_too_short": "should not be empty",
    "list_type": "should be a list",
    "bool_type": "should be true or false",
    "bool_parsing": "should be true or false",
    "int_type": "should be a whole number",
    "int_parsing": "should be a whole number",
    "int_from_float": "should be a whole number",
    "float_type": "should be a number",
    "float_parsing": "should be a number",
    "finite_number": "should be a finite number",
    "greater_than": "should be more than {gt:g}",
    "greater_than_equal": "should be {ge:g} or more",
    "less_than_equal": "should be {le:g} or less",
    "literal_error": "should be {expected}",
}
_MAPPINGS = ("dict_type", "mapping_type", "model_type", "model_attributes_type")

_TOGETHER = frozenset(
    name for validator in Settings.__pydantic_decorators__.field_validators.values() for name in validator.info.fields
) | {"OPENAPI_URL", "ALLOW_ORIGINS", "CELERY_TASK_TIME_LIMIT", "SIGN_IN_URL"}
"""Settings of which one says what another may be."""
_SECONDS = frozenset(n for n, f in Settings.model_fields.items() if f.annotation in (float, get_args(SecondsOrNone)[0]))


class Checked(NamedTuple):
    """What the check found.

    Attributes:
        settings: the known settings in their right types.
        mistakes: a line for each: name, what is wrong, the value unless it is secret, the source.
        warnings: what is accepted, and probably not meant.
    """

    settings: dict[str, Any]
    mistakes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def check(
    values: Mapping[str, Any],
    sources: Mapping[tuple[str, ...], str],
    *,
    already_wrong: Collection[tuple[str, ...]] = (),
) -> Checked:
    """Check `values` against the schema; names that it does not know are the user's own, with any value.

    Args:
        values: the merged settings.
        sources: where they came from, by their path in upper case.
        already_wrong: paths of values that are missing because of another mistake.
    """
    warnings = [
        *_likely_typos(values, sources),
        *_misspelt_components(values, sources),
        *_ignored_component_keys(values, sources),
    ]
    try:
        settings = validated(values, {name for name in KNOWN if _is_default(name, sources)})
    except ValidationError as error:
        mistakes = tuple(
            _mistake(detail, sources)
            for detail in error.errors(include_url=False)
            if detail["type"] != "missing" or tuple(str(part).upper() for part in detail["loc"]) not in already_wrong
        )
        return Checked({}, mistakes, warnings=tuple(warnings))
    return Checked(settings, warnings=tuple(warnings))


def validated(values: Mapping[str, Any], defaults: Collection[str]) -> dict[str, Any]:
    """The known settings among `values`, in their right types.

    Args:
        defaults: names of those that stand in default-settings.yaml, which need no check.

    Raises:
        ValidationError: some of the others are wrong, or missing.
    """
    given = [name for name in Settings.model_fields if name not in defaults]
    if not _TOGETHER.isdisjoint(given) or not values.keys() >= KNOWN:
        return Settings.model_validate({name: value for name, value in values.items() if name in KNOWN}).model_dump()
    fields: dict[str, Any] = {
        name: (field.annotation, field) for name in given if (field := Settings.model_fields[name])
    }
    checked = create_model("Given", **fields)(**{name: values[name] for name in given}).model_dump()
    return {
        name: checked[name] if name in checked else _as_seconds(name, values[name]) for name in Settings.model_fields
    }


def _as_seconds(name: str, value: Any) -> Any:
    return float(value) if name in _SECONDS and value is not None else value


def _is_default(name: str, sources: Mapping[tuple[str, ...], str]) -> bool:
    """Whether all of it stands as it is in default-settings.yaml."""
    found = [source for path, source in sources.items() if path[0] == name]
    return bool(found) and all(each.startswith("default-settings.yaml") and ", " not in each for each in found)


def _mistake(detail: ErrorDetails, sources: Mapping[tuple[str, ...], str]) -> str:
    path = tuple(str(part) for part in detail["loc"])
    name = ".".join(path)
    kind, value, context = detail["type"], detail["input"], detail.get("ctx", {})
    source = source_of(path, sources)
    if kind in _MAPPINGS:
        problem = "should be a mapping; in an environment variable write '@json {…}' or '@merge {…}'"
    elif "error" in context:
        problem = _told(context["error"], path, sources)
    else:
        problem = _PROBLEMS.get(kind, detail["msg"]).format(**context)
    if kind == "string_type" and isinstance(value, int | float | date):
        problem += ", in quotes"
    # A mapping, or a text in place of one, may hold a whole configuration, passwords and all. An unknown key may be a
    # misspelt SECRET.
    is_shown = kind not in ("missing", "extra_forbidden") and kind not in _MAPPINGS and not isinstance(value, Mapping)
    is_shown = is_shown and not is_from_file(source)
    shown = f"is {show(name, value)}, " if is_shown else ""
    return f"{mask_setting_name(name)}: {shown}{problem} ({mask_setting_name(source)})"


def _told(error: object, path: tuple[str, ...], sources: Mapping[tuple[str, ...], str]) -> str:
    """What a validator says, with nothing of a value that a file has."""
    if isinstance(error, QuotingError):
        quoted = (error.setting,) if error.setting else path
        if is_from_file(source_of(quoted, sources)):
            return error.general
    return str(error)


def show(name: str, value: Any) -> str:
    """`value` for an error message: masked where it is secret, and not too long."""
    text = json.dumps(mask_setting(name, value), ensure_ascii=False, default=str)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…"


def source_of(path: tuple[str, ...], sources: Mapping[tuple[str, ...], str]) -> str:
    """Where the value at `path` came from, or else what is inside it, or else the nearest value around it."""
    wanted = tuple(part.upper() for part in path)
    for length in range(len(wanted), 0, -1):
        inside = [source for key, source in sources.items() if key[:length] == wanted[:length]]
        if inside:
            return ", ".join(dict.fromkeys(inside))
    return "not set anywhere"


_OF_CELERY = frozenset({"CELERY_BEAT_SCHEDULER", "CELERY_TASK_RETRY_ON_WORKER_LOST"})
"""Celery's own that look like another one; whether there are others, it says itself."""


def _likely_typos(values: Mapping[str, Any], sources: Mapping[tuple[str, ...], str]) -> list[str]:
    warnings, known = [], sorted({*KNOWN, *ALIASES, "SETTINGS_DIR"})
    for name in values.keys() - KNOWN - _OF_CELERY:
        where = source_of((name,), sources)
        if close := misspelt(name, known) or nearest(name, known, _CLOSE):
            warnings.append(f"{name} is not a setting of opa-stack; did you mean {close}? ({where})")
        elif name in _WITHOUT_PREFIX:
            warnings.append(f"{name} is not a setting but an environment variable of its own, without OPA_ ({where})")
    return sorted(warnings)


def _misspelt_components(values: Mapping[str, Any], sources: Mapping[tuple[str, ...], str]) -> list[str]:
    """One without a driver is nothing; to switch it off switches off nothing either, and so is no mistake elsewhere."""
    components = values.get("OPTIONAL_COMPONENTS")
    if not isinstance(components, Mapping):
        return []
    has_driver = {str(name).upper(): bool(_driver_of(component)) for name, component in components.items()}
    known = [name for name, has in has_driver.items() if has]
    return [
        f"OPTIONAL_COMPONENTS.{name} has no DRIVER; did you mean {close}? "
        f"({source_of(('OPTIONAL_COMPONENTS', name), sources)})"
        for name, has in has_driver.items()
        if not has and (close := misspelt(name, known) or nearest(name, known))
    ]


def _driver_of(component: Any) -> Any:
    keys = component if isinstance(component, Mapping) else {}
    return next((value for key, value in keys.items() if str(key).upper() == "DRIVER"), None)


def _ignored_component_keys(values: Mapping[str, Any], sources: Mapping[tuple[str, ...], str]) -> list[str]:
    components = values.get("OPTIONAL_COMPONENTS")
    if not isinstance(components, Mapping):
        return []
    return [
        f"{mask_setting_name(f'OPTIONAL_COMPONENTS.{name}.{key}')} is not used; options of the driver belong under"
        f" OPTS ({source_of(('OPTIONAL_COMPONENTS', str(name), str(key)), sources)})"
        for name, component in components.items()
        if isinstance(component, Mapping)
        for key in component
        if str(key).upper() not in COMPONENT_KEYS
    ]
