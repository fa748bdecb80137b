from __future__ import annotations

import secrets

import pytest

from opa.checks.deploy.guessable import is_known, why_guessed


@pytest.mark.parametrize("word", ["redis", "Change_Me", "change-me", "PASSWORD", "admin123", "guest!"])
def test_a_word_that_everyone_would_try_is_known_in_any_writing(word: str) -> None:
    assert is_known(word)
    assert why_guessed(word, 32) == "is a word that everyone would try"


@pytest.mark.parametrize(
    ("key", "problem"),
    [
        ("x8Kq2v", "has fewer than 32 characters"),
        ("a" * 64, "has fewer than 8 different characters"),
        ("changeme" * 8, "has fewer than 8 different characters"),
        ("password1234" * 4, "repeats fewer than 32 characters"),
        ("x8Kq2vTz" * 4 + "x8K", "repeats fewer than 32 characters"),
        ("0123456789abcdef" * 2, "repeats fewer than 32 characters"),
        ("abcdefghijklmnopqrstuvwxyz012345", "is a row of characters such as 0123456789abcdef"),
        ("zyxwvutsrqponmlkjihgfedcba987654", "is a row of characters such as 0123456789abcdef"),
        ("django-insecure-8#kq2v&tz!p0w^r7m_e5", "has the words of a placeholder in it"),
        ("please_change_this_to_a_random_string", "has the words of a placeholder in it"),
        ("your-secret-key-goes-here-0123456", "has the words of a placeholder in it"),
        ("09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7", "is the one of a tutorial"),
    ],
)
def test_a_key_that_only_looks_long_is_guessed(key: str, problem: str) -> None:
    assert why_guessed(key, 32) == problem


def test_a_random_key_is_not_guessed() -> None:
    assert [why_guessed(secrets.token_hex(32), 32) for _ in range(200)] == [None] * 200
    assert [why_guessed(secrets.token_urlsafe(24), 32) for _ in range(200)] == [None] * 200


def test_a_passphrase_is_not_guessed() -> None:
    assert why_guessed("correct horse battery staple orange", 32) is None


def test_a_key_of_megabytes_is_looked_at_in_no_time() -> None:
    assert why_guessed("ab" * 5_000_000, 32) == "has fewer than 8 different characters"
