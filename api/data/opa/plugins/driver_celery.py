"""Driver `celery`: sends the tasks of the plugins, and reads their results."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opa import CeleryDriver, Hook, HookDefinition

if TYPE_CHECKING:
    from celery import Celery


class CelerySetupDefinition(HookDefinition):
    """A chance to configure the Celery app."""

    name = "driver.celery.setup"

    def run(self, celery_app: Celery) -> Celery:
        """Return the app that is to be used."""
        return celery_app


class CelerySetup(Hook):
    """Leaves the app as it is."""

    name = "driver.celery.setup"
    order = -1

    def run(self, celery_app: Celery) -> Celery:
        """Give the application back unchanged."""
        return celery_app


class CeleryClient(CeleryDriver):
    """Gives a `celery.Celery`."""

    name = "celery"
