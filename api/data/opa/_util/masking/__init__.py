"""Secrets are masked: known by a name, by their place in a text, by their shape, or by a model."""
