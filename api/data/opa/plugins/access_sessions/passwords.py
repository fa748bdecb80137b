"""Hashes passwords, and compares them: slowly, since people choose them, so that a stolen hash is of little use."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import unicodedata
from base64 import b64encode
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from hashlib import blake2b

from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError

SHORTEST = 12
LONGEST = 1024
THREADS = 2
"""Passwords that a process compares at the same time. Each takes 64 MiB, and several cores."""
WAITING = 8
"""Those that may wait for it: less than a second."""
NICENESS = 10
"""By how much more `nice` the threads are that compare them."""


class TooManyError(Exception):
    """As many passwords are compared, and wait for it, as there may be."""


def hash_of(password: str) -> str:
    """What is kept of a password, with the parameters that RFC 9106 recommends where memory is limited.

    Raises:
        ValueError: it is too short or too long to be one, or is not text, which nobody can type.
    """
    if len(password) < SHORTEST:
        raise ValueError(f"a password has {SHORTEST} characters or more")
    if len(password) > LONGEST:
        raise ValueError(f"a password has {LONGEST} characters or fewer")
    if any("\ud800" <= character <= "\udfff" for character in password):  # bytes that could not be decoded
        raise ValueError("a password is text in UTF-8")
    return PasswordHasher().hash(_prepared(password))


class PasswordCheck:
    """Compares passwords with the hashes of users, a few at a time: each takes time and memory that others need.

    Args:
        hashes: by user.
    """

    def __init__(self, hashes: Mapping[str, str]) -> None:
        self._hashes = hashes
        self._models = list(hashes.values())
        self._secret = os.urandom(32)
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="password", initializer=_yield_to_others)
        self._free = threading.BoundedSemaphore(THREADS + WAITING)

    async def is_right(self, user: str, password: str) -> bool:
        """Whether it is the password of the user. For one that is not known it takes the same time.

        Raises:
            TooManyError: too many are being compared.
        """
        known = self._hashes.get(user)
        kept = self._decoy(user) if known is None else known
        if not self._free.acquire(blocking=False):
            raise TooManyError
        # What waits is taken back with the request. What runs cannot be, and keeps its place until it ends.
        try:
            running = self._threads.submit(is_hash_of, kept, password)
        except RuntimeError as error:  # no thread can be started
            self._free.release()
            raise TooManyError from error
        running.add_done_callback(self._make_room)
        return await asyncio.wrap_future(running) and known is not None

    def _make_room(self, _done: Future[bool]) -> None:
        self._free.release()

    def _decoy(self, user: str) -> str:
        """A hash of no password that takes as long as that of a user, and of the same one each time."""
        number = int.from_bytes(blake2b(user.encode(errors="replace"), key=self._secret, digest_size=8).digest())
        *parameters, salt, kept = self._models[number % len(self._models)].split("$")
        return "$".join([*parameters, _random(salt), _random(kept)])


def _yield_to_others() -> None:
    """Compute only when nothing else has to: many sign-ins at once would hold up all requests of the process.

    On Linux a priority is that of a thread, and of those that Argon2 starts from it.
    """
    if sys.platform == "linux":
        thread = threading.get_native_id()
        os.setpriority(os.PRIO_PROCESS, thread, os.getpriority(os.PRIO_PROCESS, thread) + NICENESS)


def is_hash_of(kept: str, password: str) -> bool:
    """Whether the hash is that of the password; it takes its time."""
    try:
        return PasswordHasher().verify(kept, _prepared(password))
    except VerifyMismatchError:
        return False


def _prepared(password: str) -> bytes:
    """A letter with an accent is one character on one keyboard, and two on another."""
    return unicodedata.normalize("NFKC", password).encode(errors="surrogatepass")


def _random(like: str) -> str:
    """Random bytes in place of `like`, as many, and written as it is: in Base64 without padding."""
    return b64encode(os.urandom(len(like) * 3 // 4)).decode().rstrip("=")
