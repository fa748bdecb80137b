"""What a worker hears of the other workers, and keeps: within bounds, also where events are forged.

Celery takes each event as it comes. It keeps each election that it hears of until it is decided, which one without
voters never is, and the names of all tasks and workers that an event is of.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

from opa.tasks.event_fields import known_fields

MAX_EVENT_BYTES = 10_000
"""Of one event; those of Celery's workers have some hundred, and an election a signature of a task."""
MAX_VOTES = 1_000
"""Candidates, and answers to candidates, that are kept, of all elections together; then the oldest one is forgotten."""
MAX_NAME = 255
"""Characters of the id of an election, its topic, and the names of the workers."""


class ForeignEventError(Exception):
    """An event is not as Celery's workers send it."""


class Elections(OrderedDict[str, list[Any]]):
    """Votes by the id of their election, with room for one more."""

    def __missing__(self, election: str) -> list[Any]:
        self.make_room()
        votes: list[Any] = []
        self[election] = votes
        return votes

    def make_room(self) -> None:
        """Forget the oldest elections, if there are too many votes, or elections without any."""
        while len(self) + sum(map(len, self.values())) >= MAX_VOTES:
            self.popitem(last=False)


def bound(gossip: Any) -> None:
    """Have Celery's gossip hear what workers say alone, and keep no more of it than there is room for."""
    candidates, answers = Elections(), Elections()
    gossip.consensus_requests, gossip.consensus_replies = candidates, answers
    gossip.election = _with_room(answers, gossip.election)
    gossip.on_message = _that_is_short(gossip.on_message)
    if gossip.enabled:
        gossip.update_state = _of_worker(gossip.update_state)
    handlers = gossip.event_handlers
    for name, votes, fields in (("worker.elect", candidates, CANDIDATE), ("worker.elect.ack", answers, ANSWER)):
        handlers[name] = _with_fields(fields, _with_room(votes, handlers[name]))


def _with_room(votes: Elections, act: Callable[..., Any]) -> Callable[..., Any]:
    def act_with_room(*args: Any, **kwargs: Any) -> Any:
        votes.make_room()
        return act(*args, **kwargs)

    return act_with_room


def _that_is_short(on_message: Callable[..., Any]) -> Callable[..., Any]:
    def on_short_message(prepare: Any, message: Any) -> Any:
        if len(message.body) > MAX_EVENT_BYTES:
            raise ForeignEventError(f"it has {len(message.body)} bytes")
        return on_message(prepare, message)

    return on_short_message


def _of_worker(update_state: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def update_state_of_worker(event: Any) -> Any:
        known = known_fields(event)
        if known is None or not known["type"].startswith("worker-"):
            raise ForeignEventError("it is not of a worker")
        return update_state({**known, "local_received": event["local_received"]})

    return update_state_of_worker


def _with_fields(fields: Fields, hear: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def hear_one_with_fields(event: Any) -> Any:
        if not isinstance(event, Mapping) or not all(name in event and fits(event[name]) for name, fits in fields):
            raise ForeignEventError("it is of no election")
        return hear(event)

    return hear_one_with_fields


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= MAX_NAME


def _is_whole(value: Any) -> bool:
    return type(value) is int


def _is_any(_value: Any) -> bool:
    return True


Fields = tuple[tuple[str, Callable[[Any], bool]], ...]
ANSWER: Fields = (("id", _is_name), ("hostname", _is_name))
CANDIDATE: Fields = (
    *ANSWER,
    *(("topic", _is_name), ("clock", _is_whole), ("pid", _is_whole), ("action", _is_any), ("cver", _is_any)),
)
"""The fields of the events of an election, and what each has to be."""
