"""What people find at `/admin`."""

from __future__ import annotations

from myplugin.models import Order
from opa.admin import ModelAdmin, register


@register(Order)
class OrderAdmin(ModelAdmin):
    list_display = ["id", "item", "cents", "state"]
    list_filter = ["state"]
    search_fields = ["item"]
    ordering = ["-id"]
