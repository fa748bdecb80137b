"""Each run of a task leaves a record in redis: who sent it, when it ran and where, how it ended, and what it logged.

Setting `RUNS`; `opa tasks runs` and `opa tasks show` read the records.
"""

from __future__ import annotations

from opa import config
from opa.plugins.task_runs.component import COMPONENT

_components = {name.lower(): component for name, component in config.OPTIONAL_COMPONENTS.items()}

if config.RUNS and COMPONENT in _components and _components[COMPONENT].LOAD != "no":
    from opa import register
    from opa.plugins.task_runs.observer import RunObserver

    register("task_observers", uri=__name__)(RunObserver())
