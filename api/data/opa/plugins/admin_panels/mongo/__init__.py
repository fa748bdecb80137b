"""Panels of models of Pydantic over collections of MongoDB."""
