from __future__ import annotations

import asyncio
from typing import Any

import pytest

from opa.core.arguments import arguments_for


def test_a_class_without_an_init_asks_for_nothing_and_python_reads_no_signature(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(_: object) -> None:
        raise AssertionError("it copies sys.modules")

    monkeypatch.setattr("opa.core.arguments.inspect.signature", refuse)

    async def arguments() -> dict[str, Any]:
        async with arguments_for(object.__init__, {}, "a setup") as found:
            return found

    assert asyncio.run(arguments()) == {}
