"""Where the runs are."""

COMPONENT = "aioredis"
"""The component in whose redis they are."""
