"""Which settings apply: the sections that the environment variable `ENV` names."""

from __future__ import annotations

import os

ENV_VARIABLE = "ENV"
DEFAULT_SECTION = "default"
GLOBAL_SECTION = "global"
DEVELOPMENT = "dev"


def current_envs() -> tuple[str, ...]:
    """The sections that `ENV` names, in lower case; several are separated by commas, the last one wins."""
    names = (name.strip().lower() for name in os.environ.get(ENV_VARIABLE, "").split(","))
    return tuple(dict.fromkeys(name for name in names if name not in ("", DEFAULT_SECTION, GLOBAL_SECTION)))


def is_development() -> bool:
    """Whether `ENV` says that this is a development environment: `dev` is among its sections."""
    return DEVELOPMENT in current_envs()
