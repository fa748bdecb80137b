"""What a driver for redis is made of: pools that know a breaker, errors that pass, and URLs; and what uses of it share.

For plugins; Celery's driver, the built-in ones for redis and the built-in plugins that keep something there are made of
it.
"""

from opa.redis_clients.pools import GuardedAsyncPool, GuardedPlainPool, GuardedPool, ask, refusal
from opa.redis_clients.states import SERVER_STATES, AsyncStateParser, StateParser
from opa.redis_clients.urls import with_certificate_check
from opa.redis_clients.uses import outages_of, text_of

__all__ = [
    "SERVER_STATES",
    "AsyncStateParser",
    "GuardedAsyncPool",
    "GuardedPlainPool",
    "GuardedPool",
    "StateParser",
    "ask",
    "outages_of",
    "refusal",
    "text_of",
    "with_certificate_check",
]
