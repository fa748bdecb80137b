"""What a driver for redis is made of: pools that know a breaker, errors that pass, and URLs.

For drivers of plugins; that of Celery and the built-in ones for redis are made of it.
"""

from opa.redis_clients.pools import GuardedAsyncPool, GuardedPlainPool, GuardedPool, ask, refusal
from opa.redis_clients.states import SERVER_STATES, AsyncStateParser, StateParser
from opa.redis_clients.urls import with_certificate_check

__all__ = [
    "SERVER_STATES",
    "AsyncStateParser",
    "GuardedAsyncPool",
    "GuardedPlainPool",
    "GuardedPool",
    "StateParser",
    "ask",
    "refusal",
    "with_certificate_check",
]
