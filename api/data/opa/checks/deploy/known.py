"""Words that everyone would try as a password, such as the defaults of our compose files."""

from __future__ import annotations

KNOWN_TO_EVERYONE = frozenset(
    {
        *("mongo", "redis", "rabbitmq", "root", "flower", "guest"),  # the compose files, and RabbitMQ itself
        *("admin", "changeme", "change-me", "default", "opa", "password", "secret", "test"),
    }
)


def is_known(password: str) -> bool:
    """Whether it is one of them, in any case."""
    return password.lower() in KNOWN_TO_EVERYONE
