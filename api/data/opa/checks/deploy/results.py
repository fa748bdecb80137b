"""Runs the checks, and separates what the setting CHECK_SILENCED expects from what it does not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from opa._util.suggestions import nearest
from opa.checks.deploy.check import DeployCheck, Deployment, Level, NotChecked
from opa.checks.deploy.door import OpenDoor, reasons_in
from opa.checks.finding import Finding
from opa.settings.envs import DEVELOPMENT, current_envs

SETTING = "CHECK_SILENCED"
UNKNOWN = "deploy.silenced-unknown"
"""The id for an entry of the setting that names no check."""
MISTAKE = "deploy.mistake"
"""The id for a mistake with which nothing starts, so that no check can run."""


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

    @property
    def stops_start(self) -> bool:
        """Whether nothing starts with it."""
        return isinstance(self.finding, OpenDoor) and self.silenced is None and DEVELOPMENT not in current_envs()

    def counts(self, level: Level) -> bool:
        """Whether it is at least as bad as `level`, and nobody has said that it may be."""
        return self.silenced is None and self.level.rank >= level.rank


def run_checks(checks: Iterable[DeployCheck], deployment: Deployment) -> Iterator[Result]:
    """What all of them find, in their order; CHECK_SILENCED has their ids in any case."""
    reasons = reasons_in(deployment.config)
    checks = tuple(checks)
    for check in checks:
        for finding in check.find(deployment):
            level = Level.NOTE if isinstance(finding, NotChecked) else check.level
            yield Result(check.id, level, finding, reasons.get(check.id))
    for finding in _silenced_without_check(reasons.keys(), [check.id for check in checks], deployment):
        yield Result(UNKNOWN, Level.WARNING, finding)


def _silenced_without_check(silenced: Iterable[str], known: Sequence[str], deployment: Deployment) -> Iterator[Finding]:
    """A finding for each id that silences nothing; none can be silenced, or a misspelt one would stay unseen."""
    for name in sorted(set(silenced).difference(known)):
        near = nearest(name, known)
        if name in (UNKNOWN, MISTAKE):
            problem, hint = f"{SETTING} has '{name}', which cannot be silenced", "Fix what it reports, and remove it"
        else:
            problem = f"{SETTING} has '{name}', and there is no such check"
            hint = f"Did you mean '{near}'?" if near else "Remove it"
        yield Finding(problem, where=deployment.config.source(SETTING), hint=hint)
