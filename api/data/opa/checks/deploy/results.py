"""Runs the checks, and separates what the setting CHECK_SILENCED expects from what it does not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from opa._util.suggestions import nearest
from opa.checks.deploy.check import DeployCheck, Deployment, Level, NotChecked
from opa.checks.finding import Finding

SETTING = "CHECK_SILENCED"
UNKNOWN = "deploy.silenced-unknown"
"""The id for an entry of the setting that names no check."""


@dataclass(frozen=True)
class Result:
    """A finding of a check.

    Attributes:
        id: of the check.
        level: how bad it is.
        finding: what was found.
        silenced: the reason in the settings why it does not count; None where it does.
    """

    id: str
    level: Level
    finding: Finding
    silenced: str | None = None

    def __str__(self) -> str:
        return f"{self.level}: {self.id}: {self.finding}"

    def counts(self, level: Level) -> bool:
        """Whether it is at least as bad as `level`, and nobody has said that it may be."""
        return self.silenced is None and self.level.rank >= level.rank


def run_checks(checks: Iterable[DeployCheck], deployment: Deployment) -> Iterator[Result]:
    """What all of them find, in their order."""
    reasons = deployment.config.CHECK_SILENCED
    checks = tuple(checks)
    for check in checks:
        for finding in check.find(deployment):
            level = Level.NOTE if isinstance(finding, NotChecked) else check.level
            yield Result(check.id, level, finding, reasons.get(check.id))
    known = [check.id for check in checks]
    for unknown in sorted(reasons.keys() - known):
        near = nearest(unknown, known)
        finding = Finding(
            f"{SETTING} has '{unknown}', and there is no such check",
            where=deployment.config.source(SETTING),
            hint=f"Did you mean '{near}'?" if near else "Remove it",
        )
        yield Result(UNKNOWN, Level.WARNING, finding)
