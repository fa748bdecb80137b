"""Where the keys are that are not in the settings."""

COMPONENT = "aioredis"
"""The component in whose redis they are."""
