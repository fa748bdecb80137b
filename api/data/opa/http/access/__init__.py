"""Requests of those who have to say who they are: what requires it, and the answers where they do not."""
