"""What is the same for each application that a test makes, worked out once: it is a fifth of what a small one costs.

In the process of the tests, and in the one from which programs are forked; it imports nothing of `opa`.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import sys
import sysconfig
from collections.abc import Callable
from copy import deepcopy
from functools import cache
from importlib.machinery import SourceFileLoader
from pathlib import Path
from typing import Any

import typer.main
from dynaconf.vendor.ruamel.yaml import YAML

Patch = Callable[[Any, str, Any], None]


def parse_defaults_once(patch: Patch = setattr) -> None:
    """The text of default-settings.yaml is parsed now, and copied from then on."""
    package = importlib.util.find_spec("opa")
    assert package is not None
    assert package.origin is not None
    defaults = Path(package.origin).with_name("default-settings.yaml").read_text()
    parsed = YAML(typ="safe", pure=True).load(defaults)
    load = YAML.load
    patch(YAML, "load", lambda yaml, stream: deepcopy(parsed) if stream == defaults else load(yaml, stream))


def look_for_python_once(patch: Patch = setattr) -> None:
    """The folders of each scheme, for all of which loguru asks for each sink."""
    look = sysconfig.get_path
    known = cache(look)
    for scheme in sysconfig.get_scheme_names():
        for name in sysconfig.get_path_names():
            if not scheme.endswith("_user"):  # they lie in the user's own folder, which a variable names
                known(name, scheme)

    def get_path(name: str, scheme: str = sysconfig.get_default_scheme(), *more: Any, **others: Any) -> str | None:
        keep = not more and not others and not scheme.endswith("_user")
        return known(name, scheme) if keep else look(name, scheme, *more, **others)

    patch(sysconfig, "get_path", get_path)


def read_entry_points_once(module: Any, patch: Patch = setattr) -> None:
    """Those of a group are read once while the folders stay the same; `module` has imported `entry_points`."""
    read = importlib.metadata.entry_points

    @cache
    def known(_: tuple[tuple[str, int], ...], group: str) -> Any:
        return read(group=group)

    @cache
    def has_packages(folder: tuple[str, int]) -> bool:
        """Whether something is installed there; not in the current folder of a test, nor among its plugins."""
        return not Path(folder[0]).is_dir() or any(
            each.suffix in (".dist-info", ".egg-info", ".egg") for each in Path(folder[0]).iterdir()
        )

    def folders() -> tuple[tuple[str, int], ...]:
        return tuple(filter(has_packages, map(_stamp, sys.path)))

    patch(module, "entry_points", lambda group: known(folders(), group))


def read_signatures_once(patch: Patch = setattr) -> None:
    """Those of the commands of `opa`, of which typer makes options and arguments at each call of one."""
    commands: Any = typer.main
    read = commands.get_params_from_function
    known = cache(read)

    def params(function: Callable[..., Any]) -> dict[str, Any]:
        is_own = str(getattr(function, "__module__", "")).startswith("opa.cli.")
        found: dict[str, Any] = (known if is_own else read)(function)
        return found

    patch(commands, "get_params_from_function", params)


def look_at_modules_of_applications(module: Any, patch: Patch = setattr) -> None:
    """What was imported for the tests themselves is of no plugin, apart from built-in ones; `module` looks at all.

    These are thousands, and each application looks at them several times.
    """
    # A built-in plugin has a second name, which is that of its file alone.
    own_names = {
        name: str(getattr(module, "__dict__", {}).get("__name__", name)) for name, module in sys.modules.items()
    }
    others = {name for name, own in own_names.items() if not own.startswith("opa.plugins")}

    def all_modules() -> dict[str, Any]:
        modules = sys.modules.copy()
        return {name: modules[name] for name in modules.keys() - others}

    patch(module, "all_modules", all_modules)


def read_built_in_plugins_once(folder: str, patch: Patch = setattr) -> None:
    """The code of each module in `folder`, which is read and executed anew for each application."""
    get_code = SourceFileLoader.get_code
    known: dict[tuple[str, str], Any] = {}

    def code(loader: SourceFileLoader, name: str) -> Any:
        if not str(loader.path).startswith(folder):
            return get_code(loader, name)
        key = (name, str(loader.path))
        if key not in known:
            known[key] = get_code(loader, name)
        return known[key]

    patch(SourceFileLoader, "get_code", code)


def _stamp(folder: str) -> tuple[str, int]:
    """That by which Python knows whether what it has found in a folder is still there."""
    try:
        return folder, Path(folder).stat().st_mtime_ns
    except OSError:
        return folder, 0
