"""What a test may change in this process, and what is put back after it."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from opa.current import Current, current, state
from opa.loading.imported_modules import forget_plugins
from opa.logging.standard import INTERCEPT_HANDLER
from opa.settings.envs import ENV_VARIABLE
from opa.settings.load import config, load_settings

ENV = "test"
OF_PYTEST = "PYTEST_CURRENT_TEST"
OF_LOG = ("log_sink", "log_level", "log_is_text", "log_line")
"""What belongs to the sink of the log, which stays."""


@contextmanager
def isolated(folder: Path, without: Collection[str]) -> Iterator[None]:
    """In the block the process is one that has just started in a folder; after it, it is what it was before.

    Args:
        folder: the current one.
        without: the names of environment variables that are taken away.
    """
    environ, path, shared, level = dict(os.environ), list(sys.path), _shared(), logging.getLogger().level
    known = {name: getattr(current, name) for name in Current.__slots__ if name not in OF_LOG}
    free = dict(state)
    _begin(without)
    try:
        with contextlib.chdir(folder):
            yield
    finally:
        forget_plugins()
        sys.path[:] = path
        _forget_applications(shared)
        config.unload(load_settings)
        for name, value in known.items():
            setattr(current, name, value)
        state.clear()
        state.update(free)
        stop_intercepting()
        logging.getLogger().setLevel(level)
        _restore(environ)


def stop_intercepting() -> None:
    """Leave warnings to pytest: what an application has set up takes them into its log."""
    logging.captureWarnings(False)
    logging.getLogger().removeHandler(INTERCEPT_HANDLER)


def _begin(without: Collection[str]) -> None:
    for name in without:
        os.environ.pop(name, None)
    os.environ[ENV_VARIABLE] = ENV
    fresh = Current()
    for name in Current.__slots__:
        if name not in OF_LOG:
            setattr(current, name, getattr(fresh, name))
    state.clear()
    config.unload(load_settings)
    _forget_applications(_shared())


def _shared() -> frozenset[object]:
    if "celery" not in sys.modules:
        return frozenset()
    from opa._compat.celery.app import shared_tasks

    return shared_tasks()


def _forget_applications(shared: Collection[object]) -> None:
    if "celery" in sys.modules:
        from opa._compat.celery.app import begin_anew

        begin_anew(shared)


def _restore(environ: dict[str, str]) -> None:
    environ = {name: value for name, value in environ.items() if name != OF_PYTEST}
    for name in os.environ.keys() - environ.keys() - {OF_PYTEST}:
        del os.environ[name]
    for name, value in environ.items():
        if os.environ.get(name) != value:
            os.environ[name] = value
