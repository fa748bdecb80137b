"""Webhooks that other services send, and sign with a secret that both know."""
