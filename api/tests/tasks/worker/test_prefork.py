from __future__ import annotations

from typing import Any

import pytest

from opa.tasks.worker.prefork import ProcessPool


@pytest.mark.parametrize(
    ("sent", "held"), [((1500, 2), (None, 2)), ((1, 2), (1, 2)), ((2, 2), (None, 2)), ((1, None), (1, None))]
)
def test_a_task_that_is_sent_with_a_limit_below_the_soft_one_has_that_alone(
    sent: tuple[Any, Any], held: tuple[Any, Any]
) -> None:
    pool, given = ProcessPool(), dict[str, Any]()
    pool.on_apply = lambda *_, **options: given.update(options)  # type: ignore[method-assign]
    pool.apply_async(print, soft_timeout=sent[0], timeout=sent[1])
    assert (given["soft_timeout"], given["timeout"]) == held
