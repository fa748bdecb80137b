"""Metadata of an opa-stack with other extras, for tests of what plugins need of it."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from opa import __version__


def own_metadata(folder: Path, monkeypatch: pytest.MonkeyPatch, **extras: list[str]) -> None:
    """Write metadata into a folder that comes first, and is left again at the end of the test.

    Args:
        folder: made if there is none.
        monkeypatch: that of the test.
        extras: what each needs, as `pyproject.toml` has it.
    """
    lines = [f"Metadata-Version: 2.4\nName: opa-stack\nVersion: {__version__}\n"]
    for extra, requirements in extras.items():
        lines.append(f"Provides-Extra: {extra}\n")
        for requirement in requirements:
            text, _, condition = requirement.partition("; ")
            condition = f"({condition}) and " if " or " in condition else f"{condition} and " if condition else ""
            lines.append(f'Requires-Dist: {text}; {condition}extra == "{extra}"\n')
    info = folder / f"opa_stack-{__version__}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("".join(lines))
    monkeypatch.syspath_prepend(folder)
    importlib.invalidate_caches()
