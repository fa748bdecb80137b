"""Services of a compose file that are started with a profile alone, as the compose file itself says of them."""

from __future__ import annotations

import os
from collections.abc import Sequence

VARIABLE = "SERVICE_PROFILES"
"""`postgres=sql mail=dev`: a container sees nothing of the compose file."""


def how_to_start(hosts: Sequence[str]) -> str:
    """What to do so that one of the hosts is there, in words; empty where none of them is such a service."""
    named = (item.partition("=") for item in os.environ.get(VARIABLE, "").split())
    profiles = {host: profile for host, _, profile in named if host in hosts and profile}
    return " and ".join(
        f"Docker Compose starts '{host}' if COMPOSE_PROFILES in .env has '{profile}'"
        for host, profile in profiles.items()
    )
