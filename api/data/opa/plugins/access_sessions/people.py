"""Somebody who has signed in, in whatever way."""

from __future__ import annotations

from dataclasses import dataclass

from opa import Actor


@dataclass(frozen=True, slots=True)
class Person:
    """Who.

    Attributes:
        key: whose sessions they are, for redis.
        actor: as whom the person sends requests.
        shown: the name on the page.
        version: of what lets the person sign in; a session ends where it becomes another.
    """

    key: str
    actor: Actor
    shown: str
    version: str
