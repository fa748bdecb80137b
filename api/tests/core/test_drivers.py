from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest

from opa import Driver
from opa.core.drivers import is_outage, probe_of


class GoneError(Exception):
    """What the drivers of these tests raise where their server is gone."""


class Line(Driver):
    """Has neither `probe` nor `validate`: it is asked by connecting anew."""

    name = "line"
    connection_errors = (GoneError,)
    opened: ClassVar[list[Driver]] = []
    closed: ClassVar[list[Driver]] = []
    then: ClassVar[Callable[[Driver], Any]]

    def connect(self) -> Any:
        self.instance = self
        self.opened.append(self)
        return Line.then(self)

    def disconnect(self) -> Any:
        self.closed.append(self)


class AsyncLine(Line):
    name = "async-line"

    async def connect(self) -> Any:
        return super().connect()

    async def disconnect(self) -> None:
        super().disconnect()


class MixedLine(Line):
    name = "mixed-line"

    async def disconnect(self) -> None:
        super().disconnect()


def decorated(method: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """As a decorator that knows nothing of `async def` returns it."""

    def plain(self: Any) -> Any:
        return method(self)

    return plain


class DecoratedLine(Line):
    name = "decorated-line"

    @decorated
    async def connect(self) -> Any:
        return super().connect()

    @decorated
    async def disconnect(self) -> None:
        super().disconnect()


def asked(cls: type[Driver]) -> Driver:
    """Have the default probe of a driver ask, as its breaker does."""
    driver = cls()
    driver.component = "line"
    driver.pm = SimpleNamespace(config=SimpleNamespace(COMPONENT_DISCONNECT_TIMEOUT=5))

    async def ask() -> None:
        driver.breaker.arm(asyncio.get_running_loop())
        await asyncio.to_thread(probe_of(driver))

    Line.opened.clear()
    Line.closed.clear()
    asyncio.run(ask())
    return driver


def answers(_driver: Driver) -> None:
    pass


def breaks_off(_driver: Driver) -> None:
    raise GoneError("in the middle")


def never_opened(driver: Driver) -> None:
    driver.instance = None
    raise GoneError("at once")


def is_not_there(_driver: Driver) -> bool:
    return False


lines = pytest.mark.parametrize("cls", [Line, AsyncLine, MixedLine, DecoratedLine])


@lines
def test_a_probe_that_connects_disconnects_again(cls: type[Driver], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Line, "then", answers, raising=False)
    driver = asked(cls)
    assert len(Line.opened) == 1
    assert Line.closed == Line.opened
    assert driver not in Line.closed


@lines
def test_a_probe_whose_connect_breaks_off_closes_what_it_has_opened(
    cls: type[Driver], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Line, "then", breaks_off, raising=False)
    with pytest.raises(GoneError, match="in the middle"):
        asked(cls)
    assert Line.closed == Line.opened


def test_a_probe_that_has_opened_nothing_closes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Line, "then", never_opened, raising=False)
    with pytest.raises(GoneError, match="at once"):
        asked(Line)
    assert not Line.closed


@lines
def test_a_connect_that_says_that_the_service_is_not_there_is_no_answer(
    cls: type[Driver], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Line, "then", is_not_there, raising=False)
    with pytest.raises(ConnectionError, match="says that the service is unavailable") as caught:
        asked(cls)
    assert is_outage(caught.value, cls())
    assert Line.closed == Line.opened


def test_a_disconnect_that_fails_takes_nothing_from_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Line, "then", answers, raising=False)
    monkeypatch.setattr(Line, "disconnect", breaks_off)
    asked(Line)
    assert len(Line.opened) == 1
