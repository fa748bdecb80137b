"""The OpenAPI document: built once, kept, and built again when routes change."""
