"""Where the sessions are."""

COMPONENT = "aioredis"
"""The component in whose redis they are."""
