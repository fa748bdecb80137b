"""What describes models. Only for tested versions."""

from __future__ import annotations

from fastapi._compat import get_definitions, get_flat_models_from_fields, get_model_name_map

__all__ = ["get_definitions", "get_flat_models_from_fields", "get_model_name_map"]
