"""Which settings are known, and what is known of each by its name alone."""

from __future__ import annotations

from typing import get_origin

from pydantic import BaseModel

from opa.settings.schema import Settings

ALIASES = {"PTVSD": "DEBUGPY"}
"""Names of the original opa-stack that are accepted for a setting of today, with a warning."""

KNOWN = frozenset(Settings.model_fields)
MAPPINGS = frozenset(
    name
    for name, field in Settings.model_fields.items()
    if get_origin(field.annotation) is dict
    or (isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel))
)
PLAIN = frozenset(name for name in KNOWN if name != "PLUGIN_SETTINGS" and not name.startswith("CELERY_"))
"""Settings that need no objects of Python, as those of a plugin's model or of Celery may."""
TEXTS = frozenset(n for n, f in Settings.model_fields.items() if f.annotation in (str, str | None))
LISTS = frozenset(n for n, f in Settings.model_fields.items() if f.annotation == list[str])


def path_of(name: str) -> tuple[str, ...]:
    """The steps of a name: by `__`, or else by dots. A dot beside `__` is one of a key, such as a task's name."""
    first, *rest = name.strip().split("__" if "__" in name else ".")
    return (first.upper(), *rest)


def is_mapping_setting(name: str) -> bool:
    """Whether the setting with this dotted name, or `A__B`, is always a mapping."""
    path = path_of(name.upper())
    if path[0] == "OPTIONAL_COMPONENTS" and len(path) == 3:
        return path[2] == "OPTS"
    return path[0] in MAPPINGS and len(path) <= (2 if path[0] in _MAPPINGS_OF_MAPPINGS else 1)


def is_secret_text(name: str) -> bool:
    """Whether a setting, or a key of one, is a text by its name: of digits alone, a password is no number."""
    return f"_{path_of(name.upper())[-1]}".endswith(_SECRET_TEXTS)


_SECRET_TEXTS = (
    "_PASSWORD",
    "_PASSWD",
    "_PASSPHRASE",
    "_SECRET",
    "_API_KEY",
    "_ACCESS_TOKEN",
    "_API_TOKEN",
    "_AUTH_TOKEN",
)
_MAPPINGS_OF_MAPPINGS = frozenset(
    {
        *(
            "ACCESS_KEYS",
            "CELERY_BEAT_SCHEDULE",
            "CELERY_TASK_ANNOTATIONS",
            "CELERY_TASK_ROUTES",
            "NOTIFY",
            "OIDC_PROVIDERS",
            "OPTIONAL_COMPONENTS",
            "PLUGIN_OPTIONS",
            "PLUGIN_SETTINGS",
        ),
        *("USERS", "WEBHOOKS_OUT"),
    }
)
