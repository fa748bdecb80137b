"""What the OpenAPI document says of the API as a whole, by the settings PROJECT_…."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from opa.settings.load import Config


def info_of(config: Config) -> dict[str, Any]:
    """The arguments of FastAPI for it."""
    return {
        "title": config.PROJECT_NAME,
        "summary": config.PROJECT_SUMMARY or None,
        "description": config.PROJECT_DESCRIPTION,
        "version": config.PROJECT_VERSION,
        "terms_of_service": config.PROJECT_TERMS_OF_SERVICE,
        "contact": _lower(config.PROJECT_CONTACT) or None,
        "license_info": _lower(config.PROJECT_LICENSE) or None,
        "openapi_tags": [_tag(tag) for tag in config.PROJECT_TAGS] or None,
    }


def _lower(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name.lower(): value for name, value in fields.items()}


def _tag(fields: Mapping[str, Any]) -> dict[str, Any]:
    tag = _lower(fields)
    url = tag.pop("url", None)
    return tag | ({"externalDocs": {"url": url}} if url else {})
