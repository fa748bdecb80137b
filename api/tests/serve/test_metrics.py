"""The port of the metrics of a worker and of beat."""

from __future__ import annotations

from contextlib import closing

import pytest

from opa import log
from opa.errors import StartError
from opa.process.listen import listening_socket
from opa.serve.metrics import metrics_socket
from opa.settings.inherited import PROCESS_VARIABLE
from tests.project import Project


def test_two_projects_under_opa_up_both_show_their_metrics_and_elsewhere_a_port_that_is_taken_ends_the_start(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, said = project.config(), list[str]()
    sink = log.add(said.append, level="WARNING", format="{message}")
    with closing(listening_socket("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(StartError, match=f"cannot listen on 127.0.0.1:{port}.*OPA_METRICS_PORT"):
            metrics_socket(config, port)
        monkeypatch.setenv(PROCESS_VARIABLE, "worker")
        with closing(metrics_socket(config, port)) as free:
            assert free.getsockname()[1] != port
    log.remove(sink)
    assert f"the metrics are on a free port: cannot listen on 127.0.0.1:{port}" in "".join(said)
