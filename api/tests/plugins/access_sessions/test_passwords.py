"""Passwords: hashed, and compared."""

from __future__ import annotations

import asyncio
import os
import re
import sys
import threading

import pytest

from opa.plugins.access_sessions import passwords as module
from opa.plugins.access_sessions.passwords import (
    LONGEST,
    NICENESS,
    THREADS,
    WAITING,
    PasswordCheck,
    TooManyError,
    hash_of,
)
from opa.settings.users import password_hash
from tests.plugins.access_sessions.people import HASH, PASSWORD


def test_a_text_that_is_not_utf_8_is_no_password() -> None:
    with pytest.raises(ValueError, match="text in UTF-8"):
        hash_of("correct horse b\udce4ttery")


def test_a_hash_from_the_settings_fits_its_password() -> None:
    hashed = hash_of("Grüße und Küsse")
    check = PasswordCheck({"ada": password_hash(hashed)})

    assert asyncio.run(check.is_right("ada", "Grüße und Küsse"))
    assert asyncio.run(check.is_right("ada", "Gru\u0308ße und Ku\u0308sse"))  # the same, of another keyboard
    assert not asyncio.run(check.is_right("ada", "Gruesse und Kuesse"))


@pytest.mark.parametrize("password", ["", "short", "a" * (LONGEST + 1)])
def test_a_password_has_a_length(password: str) -> None:
    with pytest.raises(ValueError, match="characters or"):
        hash_of(password)


@pytest.mark.parametrize("password", ["", "wrong", "\x00", "\ud800", PASSWORD + " ", PASSWORD.upper()])
def test_a_wrong_one_is_wrong_whatever_it_is(password: str) -> None:
    assert not asyncio.run(PasswordCheck({"ada": HASH}).is_right("ada", password))


def test_for_an_unknown_user_as_much_is_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the same parameters and lengths as for one that is known, and the same ones each time."""
    compared: list[str] = []
    fits = module.is_hash_of

    def noted(kept: str, password: str) -> bool:
        compared.append(kept)
        return fits(kept, password)

    monkeypatch.setattr(module, "is_hash_of", noted)
    check = PasswordCheck({"ada": HASH})

    assert not asyncio.run(check.is_right("nobody", PASSWORD))
    assert not asyncio.run(check.is_right("\ud800", PASSWORD))
    assert len(compared) == 2
    for kept in compared:
        assert kept != HASH
        assert len(kept) == len(HASH)
        assert kept.split("$")[:4] == HASH.split("$")[:4]


def test_an_unknown_user_costs_what_one_of_the_users_costs() -> None:
    dear = HASH.replace("t=1", "t=2")
    check = PasswordCheck({"ada": HASH, "ben": dear})
    costs = {name: {re.findall(r"t=\d", check._decoy(name))[0] for _ in range(5)} for name in map(str, range(40))}

    assert all(len(found) == 1 for found in costs.values())
    assert {cost for found in costs.values() for cost in found} == {"t=1", "t=2"}


def test_a_few_are_compared_at_a_time_and_the_rest_are_turned_away(monkeypatch: pytest.MonkeyPatch) -> None:
    may_end, running, most = threading.Event(), [0], [0]
    lock = threading.Lock()

    def slow(_kept: str, _password: str) -> bool:
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        may_end.wait()
        with lock:
            running[0] -= 1
        return False

    monkeypatch.setattr(module, "is_hash_of", slow)
    check = PasswordCheck({"ada": HASH})

    async def run() -> None:
        tries = [asyncio.create_task(check.is_right("ada", "wrong")) for _ in range(200)]
        done, waiting = await asyncio.wait(tries, return_when=asyncio.FIRST_EXCEPTION)
        while len(done) < 200 - THREADS - WAITING:
            more, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            done |= more
        assert all(isinstance(task.exception(), TooManyError) for task in done)
        while most[0] < THREADS:  # their priority is low
            await asyncio.sleep(0.01)
        may_end.set()
        assert [await task for task in waiting] == [False] * (THREADS + WAITING)

    asyncio.run(run())
    assert most[0] == THREADS
    monkeypatch.undo()
    assert asyncio.run(check.is_right("ada", PASSWORD))  # there is room again


def test_a_request_that_is_gone_takes_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    begun, may_end = threading.Semaphore(0), threading.Event()

    def compare(_kept: object, _password: str) -> bool:
        begun.release()
        return may_end.wait()

    monkeypatch.setattr(module, "is_hash_of", compare)
    check = PasswordCheck({"ada": HASH})

    async def run() -> None:
        tries = [asyncio.create_task(check.is_right("ada", "x")) for _ in range(THREADS + WAITING)]
        await asyncio.sleep(0)
        for _ in range(THREADS):
            begun.acquire()
        for task in tries:
            task.cancel()
        await asyncio.wait(tries)
        # Those that wait are taken back, and what runs keeps its place.
        again = [asyncio.create_task(check.is_right("ada", "x")) for _ in range(WAITING)]
        await asyncio.sleep(0)
        with pytest.raises(TooManyError):
            await check.is_right("ada", "x")
        may_end.set()
        assert all([await task for task in again])

    asyncio.run(run())


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a priority is that of a process")
def test_requests_come_before_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many sign-ins at once would hold up all other requests of the process, and its health route."""
    found: list[int] = []

    def noted(_kept: str, _password: str) -> bool:
        found.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
        return True

    monkeypatch.setattr(module, "is_hash_of", noted)
    own = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    asyncio.run(PasswordCheck({"ada": HASH}).is_right("ada", PASSWORD))

    assert found == [min(own + NICENESS, 19)]
    assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) == own


def test_a_thread_that_cannot_be_started_takes_no_place_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where a container may have no more of them: it would be too many for ever."""
    check = PasswordCheck({"ada": HASH})

    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        for _ in range(THREADS + WAITING + 1):
            with pytest.raises(TooManyError):
                asyncio.run(check.is_right("ada", PASSWORD))

    assert asyncio.run(check.is_right("ada", PASSWORD))
