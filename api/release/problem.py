"""Why there is no release."""

from __future__ import annotations


class ReleaseError(Exception):
    """The text says what is wrong, and what to do."""
