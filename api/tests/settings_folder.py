"""A settings folder of a user's, and an environment with nothing in it that opa-stack would read."""

from __future__ import annotations

import os
import textwrap
from pathlib import Path
from typing import Any

import pytest

from opa.errors import SettingsError
from opa.settings.load import Config, load_settings


class SettingsFolder:
    """Writes settings files, sets variables, and loads."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.path = folder / "settings"
        self.path.mkdir()
        self._monkeypatch = monkeypatch
        monkeypatch.chdir(folder)
        for name in os.environ:
            if name.startswith("OPA_") or name == "ENV":
                monkeypatch.delenv(name)
        self.variables(OPA_SETTINGS_DIR=str(self.path))

    def file(self, name: str, text: str) -> Path:
        """Write a settings file."""
        file = self.path / name
        file.write_text(textwrap.dedent(text))
        return file

    def variables(self, **variables: str) -> None:
        """Set environment variables."""
        for name, value in variables.items():
            self._monkeypatch.setenv(name, value)

    def load(self, base: dict[str, Any] | None = None) -> Config:
        return load_settings(base)

    def mistakes(self) -> list[str]:
        """The lines of the error that loading raises, with the folder left out."""
        with pytest.raises(SettingsError) as raised:
            self.load()
        return [mistake.replace(f"{self.path}/", "") for mistake in raised.value.mistakes]
