"""A component that is known not to answer is refused at once, until a probe finds that it answers again.

A call that fails has the component asked, over a connection of the probe's own. Where there is no answer, the breaker
opens: calls are refused, and those that wait are let go. While all is well it costs a call no more than a look at an
attribute, and there is no thread.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
import time
from collections.abc import Callable
from concurrent.futures import CancelledError
from contextlib import suppress
from contextvars import ContextVar
from queue import Empty, SimpleQueue
from types import MethodType
from typing import Any, ClassVar, Self
from weakref import WeakMethod

from opa._util.masking.secrets import mask_text
from opa.core.calling import EndlessError, call_from_thread
from opa.core.component_observers import ANSWER, TellWait, measured
from opa.core.component_use import forget, note_use
from opa.core.threads import start_on
from opa.logging.logger import log

CONFIRMATION_TIMEOUT = 0.4
"""Seconds that a component has to answer once a call to it has failed, before it is taken for gone."""
SATURATION_TIMEOUT = 1.0
"""Seconds that it has where no call has failed, but those that wait for it hold all their threads."""
PROBE_TIMEOUT = 1.0
"""Seconds that a probe may wait for an answer; after that another one is sent beside it."""
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 0.8
"""Seconds between a probe that has failed and the next."""
MAX_PROBES = 4
"""At once: one may hang for longer than it should, in a look-up of a name or in a client without a time limit."""
PROBE_LIFE, LONGEST_PROBE_LIFE = 30.0, 300.0
"""Seconds after which a probe that hangs no longer counts among them; they grow with each, as it keeps its thread."""
AWAITED_PROBE_LIFE = MAX_PROBES * PROBE_TIMEOUT
"""Seconds after which one that is awaited is cancelled: by then there are as many as there may be."""
ASKED_FOR, AT_MOST_EVERY = 0.25, 0.05
"""Seconds that a call which is refused waits at most for a probe of its own, and between two such probes."""
TRUST_PERIOD = 1.0
"""Seconds for which no further call that fails has a component asked that has just answered."""

_REFUSED = "_opa_refused"

# A probe and whether it was answered; None ends a pause.
_Answers = SimpleQueue[tuple[object, bool] | None]


# A probe may use the client that the breaker guards.
_asking: ContextVar[Breaker | None] = ContextVar("opa_asking", default=None)


def refused_component(error: BaseException) -> str | None:
    """The name of the component, where `error` is a breaker's refusal."""
    name: str | None = vars(error).get(_REFUSED)
    return name


class Breaker:
    """The breaker of one component, or of one of the servers that it has.

    Attributes:
        name: what it is called in the log and in answers.
        is_armed: whether the component is connected.
        is_open: whether calls are refused.
        is_asking: whether the component is being asked: since a call has failed, and until there is an answer.
        reason: why calls are refused; empty while it is closed.
        probe_timeout: seconds that a probe should take at most; the next begins then.
        loop: the event loop that the component belongs to; None before it is connected.
        tell_wait: told of calls that wait; None where nobody wants to know.

    Args:
        probe: asks the component, in a thread of its own; what it gives to await, the event loop awaits. What it
            raises says whether there was an answer.
        is_outage: whether an error says that there was none.
        refusal: makes the error that a refused call gets, from its text.
    """

    probe_timeout: ClassVar[float] = PROBE_TIMEOUT

    def __init__(
        self,
        name: str,
        probe: Callable[[], Any],
        *,
        is_outage: Callable[[BaseException], bool],
        refusal: Callable[[str], Exception],
    ) -> None:
        self.name = name
        self.is_open = False
        self.reason = ""
        self._probe = probe
        self._is_outage = is_outage
        self._refusal = refusal
        self._lock = threading.Lock()
        self.loop: asyncio.AbstractEventLoop | None = None
        self.is_armed = self.is_asking = False
        self._is_decided, self._is_heard = threading.Event(), threading.Event()
        self._is_pausing = False
        self._asked_at = 0.0
        self._trusted_until = 0.0
        self._answers: _Answers = SimpleQueue()
        self._let_go: list[Callable[[], Callable[[], object] | None]] = []
        self._news: dict[asyncio.AbstractEventLoop, asyncio.Future[None]] = {}
        self._scopes: dict[asyncio.Timeout, asyncio.AbstractEventLoop] = {}
        self._refused = 0
        self.tell_wait: TellWait | None = None

    def check(self) -> None:
        """Called before a call.

        Raises:
            Exception: the component is known not to answer; which class it is, the driver says.
        """
        if self.is_open and _asking.get() is not self:
            raise self.refusal()

    def check_in_thread(self) -> None:
        """The same before a call that holds its thread: those of the routes that make it are counted apart from others.

        While it is not known whether the component answers, it waits for that, which is a moment. Where the breaker is
        open, and no probe is running, it has the component asked.

        Raises:
            Exception: as `check`.
        """
        note_use(self)
        if self.is_asking and _asking.get() is not self:
            with measured(self.tell_wait, ANSWER):
                self._wait_in_thread()
            if self.is_open:
                raise self.refusal()

    def refusal(self) -> Exception:
        """The error for a call that is refused."""
        self._refused += 1
        error = self._refusal(f"component '{self.name}' does not answer")
        vars(error)[_REFUSED] = self.name
        return error

    def failed(self, error: BaseException) -> None:
        """Called when a call has failed; where that may mean that the component is gone, it is asked."""
        if not self.is_asking and isinstance(error, Exception) and self._is_outage(error):
            self._begin(f"{type(error).__name__}: {mask_text(str(error))}", CONFIRMATION_TIMEOUT)

    def suspect(self) -> None:
        """Called when no further call finds a thread; the component is asked whether it hangs."""
        if not self.is_asking:
            self._begin("calls that wait for it occupy all their threads", SATURATION_TIMEOUT)

    def _begin(self, why: str, patience: float) -> None:
        with self._lock:
            if not self.is_armed or self.is_asking or time.monotonic() < self._trusted_until:
                return
            self.is_asking = True
            self._is_decided.clear()
            self._answers = SimpleQueue()
        try:
            threading.Thread(target=self._look, args=(why, patience), name=f"breaker-{self.name}", daemon=True).start()
        except RuntimeError as error:  # as many threads as there may be; the next call that fails tries again
            with self._lock:
                self.is_asking = False
                self._is_decided.set()
            self._tell()
            log.warning("component '{}' cannot be asked whether it answers: {}", self.name, error)

    def _wait_in_thread(self) -> None:
        has_asked = self._ask_now()
        try:
            asyncio.get_running_loop()
        except RuntimeError:  # no event loop is held by this
            self._is_decided.wait(2 * SATURATION_TIMEOUT)
            if has_asked:
                self._is_heard.wait(ASKED_FOR)

    async def checked(self) -> None:
        """What `check_in_thread` does, for a coroutine.

        Raises:
            Exception: as `check`.
        """
        if self.is_asking and _asking.get() is not self:
            with measured(self.tell_wait, ANSWER):
                has_asked = self._ask_now()
                await self._wait_for(self._is_decided, 2 * SATURATION_TIMEOUT)
                if has_asked:
                    await self._wait_for(self._is_heard, ASKED_FOR)
            if self.is_open:
                raise self.refusal()

    async def _wait_for(self, event: threading.Event, seconds: float) -> None:
        """What `event.wait(seconds)` does, for a coroutine: another thread sets it."""
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        while (left := until - loop.time()) > 0:
            news = self._news_in(loop)  # before the look at the event: what is set after it is told
            if event.is_set():
                return
            await asyncio.wait([news], timeout=left)

    def _news_in(self, loop: asyncio.AbstractEventLoop) -> asyncio.Future[None]:
        """One future for all the coroutines of a loop that wait."""
        with self._lock:
            if loop not in self._news:
                self._news[loop] = loop.create_future()
            return self._news[loop]

    def _tell(self) -> None:
        """Wake up the coroutines that wait; called once an event is set."""
        with self._lock:
            news, self._news = self._news, {}
        for loop, future in news.items():
            _call_soon(loop, _settle, future)

    def _ask_now(self) -> bool:
        """End the pause between two probes, where there is one."""
        with self._lock:
            if not (self.is_open and self._is_pausing) or time.monotonic() - self._asked_at < AT_MOST_EVERY:
                return False
            self._is_pausing = False
            self._is_heard.clear()
            self._answers.put(None)
            return True

    def guard(self) -> Guard:
        """A context for a call: `with` in a thread, `async with` in the event loop.

        It refuses the call while the breaker is open, and hears of its failure. One that waits in `async with` is ended
        when the breaker opens.
        """
        return Guard(self)

    def when_open(self, let_go: Callable[[], object]) -> None:
        """Have `let_go` called when the breaker opens: it is to end the calls that wait.

        It is called in a thread; what it gives to await, the event loop of the component awaits.
        A method does not keep its object alive by this.
        """
        reference = WeakMethod(let_go) if isinstance(let_go, MethodType) else lambda: let_go
        with self._lock:
            self._let_go = [*(each for each in self._let_go if each() is not None), reference]

    def arm(self, loop: asyncio.AbstractEventLoop) -> None:
        """From now on the component is connected, and belongs to the event loop."""
        self.loop = loop
        self.is_armed = True

    def disarm(self) -> None:
        """From now on it is not."""
        with self._lock:
            self.is_armed = self.is_open = False
            self._let_go = []
            self._answers.put(None)
        forget(self)

    def _look(self, why: str, patience: float) -> None:
        """Ask until there is an answer; whatever ends it, calls are taken again."""
        since = time.monotonic()
        try:
            self._ask_until_answered(why, patience)
        finally:
            self._close(time.monotonic() - since)

    def _ask_until_answered(self, why: str, patience: float) -> None:
        answers, probes = self._answers, _Probes()
        wait, pause = patience, FIRST_PAUSE
        while self.is_armed:
            if probes.may_begin():
                self._send_probe(probes.begin(), answers)
                self._asked_at = time.monotonic()
            answered = probes.next_answer(answers, wait)
            if answered is False:
                self._open(why)
                self._is_heard.set()
                self._tell()
                self._is_pausing = True
                answered = probes.next_answer(answers, pause)
                self._is_pausing = False
                pause = min(2 * pause, LONGEST_PAUSE)
            if answered:
                break
            self._open(why)
            wait = PROBE_TIMEOUT

    def _send_probe(self, probe: object, answers: _Answers) -> None:
        thread = threading.Thread(target=self._ask, args=(probe, answers), name=f"probe-{self.name}", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:  # as many threads as there may be
            log.debug("a probe of component '{}' does not start: {}", self.name, error)
            answers.put((probe, False))

    def _ask(self, probe: object, answers: _Answers) -> None:
        _asking.set(self)  # in the context of this thread, and of the coroutine that it starts
        answered = False  # also where it is cancelled, or comes to no end
        try:
            call_from_thread(self._probe, self.loop, AWAITED_PROBE_LIFE)
            answered = True
        except (asyncio.CancelledError, CancelledError, EndlessError) as error:
            log.debug("a probe of component '{}' is given up: {!r}", self.name, error)
        except BaseException as error:  # noqa: BLE001 - any other error is an answer, if a bad one
            answered = not self._is_outage(error)
        finally:
            answers.put((probe, answered))

    def _open(self, why: str) -> None:
        with self._lock:
            if self.is_open or not self.is_armed:
                return
            self._refused = 0
            self.reason = f"it does not answer ({why})"
            self.is_open = True
            self._is_decided.set()
        self._tell()
        log.warning("component '{}' is refused at once until it answers again: {}", self.name, self.reason)
        for reference in self._let_go:
            let_go = reference()
            if let_go is not None:
                self._let_go_by(let_go)
        for scope, loop in self._scopes.copy().items():
            _call_soon(loop, self._expire, scope)

    def _let_go_by(self, let_go: Callable[[], object]) -> None:
        failure = f"calls to component '{self.name}' that wait for an answer are not released"
        try:
            result = let_go()
            if inspect.isawaitable(result):
                start_on(self.loop, result, failure=failure)
        except Exception as error:  # noqa: BLE001 - they wait for as long as their own limits say
            log.opt(exception=error).warning(failure)

    def _expire(self, scope: asyncio.Timeout) -> None:
        if scope in self._scopes:
            scope.reschedule(asyncio.get_running_loop().time())

    def _close(self, seconds: float) -> None:
        with self._lock:
            was_open, self.is_open, self.reason = self.is_open, False, ""
            self.is_asking = False
            self._is_decided.set()
            self._is_heard.set()
            self._trusted_until = time.monotonic() + TRUST_PERIOD
        self._tell()
        if was_open:
            log.info("component '{}' answers again, after {:.1f} s; refused: {}", self.name, seconds, self._refused)


class Guard:
    """What `Breaker.guard` gives, for one call."""

    def __init__(self, breaker: Breaker) -> None:
        self._breaker = breaker

    def __enter__(self) -> Self:
        self._breaker.check_in_thread()
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if error is not None:
            self._breaker.failed(error)

    async def __aenter__(self) -> Self:
        await self._breaker.checked()
        self._scope = asyncio.timeout(None)
        await self._scope.__aenter__()
        self._breaker._scopes[self._scope] = asyncio.get_running_loop()
        try:
            self._breaker.check()  # once more: it may have opened, in its thread, before the scope stood there
        except BaseException:
            del self._breaker._scopes[self._scope]
            await self._scope.__aexit__(None, None, None)
            raise
        return self

    async def __aexit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        del self._breaker._scopes[self._scope]
        try:
            await self._scope.__aexit__(kind, error, trace)
        except TimeoutError:  # its own
            raise self._breaker.refusal() from error
        if error is not None:
            self._breaker.failed(error)


def _call_soon(loop: asyncio.AbstractEventLoop, function: Callable[[Any], None], argument: object) -> None:
    with suppress(RuntimeError):  # it is closed, and has no waiting calls
        loop.call_soon_threadsafe(function, argument)


def _settle(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


class _Probes:
    """Those that are under way in one outage; used by one thread."""

    def __init__(self) -> None:
        self._began: dict[object, float] = {}
        self._life = PROBE_LIFE

    def may_begin(self) -> bool:
        """Whether there are fewer than there may be; one that is too old is given up."""
        now = time.monotonic()
        for probe in [probe for probe, began in self._began.items() if now - began >= self._life]:
            del self._began[probe]
            self._life = min(2 * self._life, LONGEST_PROBE_LIFE)
        return len(self._began) < MAX_PROBES

    def begin(self) -> object:
        """Another one, from now on."""
        probe = object()
        self._began[probe] = time.monotonic()
        return probe

    def next_answer(self, answers: _Answers, seconds: float) -> bool | None:
        """The next answer; None where there is none within `seconds`, or it is not waited for."""
        try:
            answer = answers.get(timeout=seconds)
        except Empty:
            return None
        if answer is None:
            return None
        probe, answered = answer
        self._began.pop(probe, None)
        return answered
