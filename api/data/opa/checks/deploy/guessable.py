"""Which passwords and keys are guessed: words that everyone would try, and texts that only look long."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

WORDS = frozenset(
    {
        *("mongo", "redis", "rabbitmq", "root", "flower", "guest"),  # the compose files, and RabbitMQ itself
        *("admin", "changeme", "default", "opa", "password", "secret", "test"),
    }
)
_PLACEHOLDERS = (
    *("changeme", "changethis", "changeit", "replaceme", "replacethis", "placeholder", "insecure"),
    *("yoursecret", "mysecret", "supersecret", "topsecret", "secretkey", "password", "letmein", "qwerty", "example"),
)
_OF_TUTORIALS = frozenset(
    {
        "09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7",  # FastAPI's
        "192b9bdd22ab9ed4d12e236c78afcb9a393ec15f71bbf5dc987d54727823bcbf",  # Flask's
    }
)
_LOOKED_AT = 1024
"""Characters: what is longer is no better."""


def is_known(secret: str) -> bool:
    """Whether it is one of the words, whatever stands between and behind its letters."""
    return _letters(secret) in WORDS


def why_guessed(secret: str, shortest: int) -> str | None:
    """What is wrong with a secret, as in "it …"; None where nothing is.

    Args:
        secret: the password or key.
        shortest: characters that it should have.
    """
    return next(_problems(secret[:_LOOKED_AT], shortest), None)


def _problems(secret: str, shortest: int) -> Iterator[str]:
    fewest = min(8, shortest // 3)
    if is_known(secret):
        yield "is a word that everyone would try"
    if len(secret) < shortest:
        yield f"has fewer than {shortest} characters"
    if len(set(secret)) < fewest:
        yield f"has fewer than {fewest} different characters"
    if _period(secret) < shortest:
        yield f"repeats fewer than {shortest} characters"
    if _is_row(secret):
        yield "is a row of characters such as 0123456789abcdef"
    if any(word in _letters(secret) for word in _PLACEHOLDERS):
        yield "has the words of a placeholder in it"
    if secret.lower() in _OF_TUTORIALS:
        yield "is the one of a tutorial"


def _letters(text: str) -> str:
    return re.sub(r"[\W_\d]+", "", text.lower())


def _period(text: str) -> int:
    """After how many characters it begins anew, until it ends; all of them where it does not twice."""
    periods = range(1, len(text) // 2 + 1)
    return next((length for length in periods if text[length:] == text[:-length]), len(text))


def _is_row(text: str) -> bool:
    """Whether most characters are followed by the next, or the previous, one."""
    steps = [ord(after) - ord(before) for before, after in pairwise(text)]
    return max(steps.count(1), steps.count(-1)) > len(steps) / 2
