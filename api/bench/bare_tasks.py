"""The bare Celery application: what task_plugins/noop.py does, in Celery alone, with the settings of the stack."""

import os
from typing import Any

from celery import Celery

SETTINGS: dict[str, Any] = {
    "accept_content": ["json"],
    "result_accept_content": ["json"],
    "task_serializer": "json",
    "result_serializer": "json",
    "task_acks_late": True,
    "task_reject_on_worker_lost": True,
    "task_ignore_result": False,
    "task_soft_time_limit": 1500,
    "task_time_limit": 1620,
    "worker_prefetch_multiplier": 1,
    "worker_cancel_long_running_tasks_on_connection_loss": True,
    "result_expires": 86400,
    "result_backend_thread_safe": True,
}
TRANSPORT = {"visibility_timeout": 1800}

app = Celery("bench", broker=os.environ["BENCH_BROKER"], backend=os.environ["BENCH_BACKEND"])
app.conf.update(SETTINGS, broker_transport_options=TRANSPORT)


@app.task(name="noop.noop")
def noop() -> None:
    """Nothing."""
