"""What a check tells."""

from __future__ import annotations

from typing import NamedTuple

from opa.errors import OpaError


class Finding(NamedTuple):
    """Something that does not stop the start, and is probably not what its author meant.

    Attributes:
        problem: what is wrong, naming the plugin or the setting.
        where: file, `file:line` or the source of the setting.
        hint: what to do about it.
        plugin: whose it is; None where it is in the settings.
    """

    problem: str
    where: str
    hint: str
    plugin: str | None = None

    def __str__(self) -> str:
        return str(OpaError(self.problem, where=self.where, hint=self.hint))
