"""`/metrics` for Prometheus, where METRICS is true; docs/metrics.md says what is in it.

Nothing of it is imported otherwise.
"""

from opa import config, register

if config.METRICS:
    from opa.plugins.core_metrics.component_metrics import ComponentMetrics
    from opa.plugins.core_metrics.request_metrics import RequestMetrics
    from opa.plugins.core_metrics.route import router as router
    from opa.plugins.core_metrics.service import shutdown as shutdown
    from opa.plugins.core_metrics.service import startup as startup
    from opa.plugins.core_metrics.task_metrics import TaskMetrics

    register("component_observers")(ComponentMetrics)
    register("request_observers")(RequestMetrics)
    register("task_observers")(TaskMetrics())
