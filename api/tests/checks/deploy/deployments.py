"""A project as `opa check --deploy` sees it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from opa.checks.deploy.check import Deployment
from opa.checks.finding import Finding
from tests.project import Project


def found(project: Project, check: Callable[[Deployment], Iterator[Finding]], **environ: str) -> list[str]:
    """The problems that a check finds, with these environment variables alone."""
    return [finding.problem for finding in check(Deployment(project.prepare(), environ))]
