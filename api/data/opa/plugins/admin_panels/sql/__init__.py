"""Panels of models of SQLAlchemy."""
