"""Admin panels: what a plugin has to be listed, searched and edited at ADMIN_URL.

`register` makes a panel of a model, `page` adds a page of the plugin's own. The built-in plugin `admin_panels` shows
them; nothing of what that needs is imported here.
"""

from opa.admin.options import ModelAdmin
from opa.admin.panels import MONGO, SQL, AdminPage, Panel, admin_pages, check_fields, panels
from opa.admin.registration import page, register

__all__ = [
    "MONGO",
    "SQL",
    "AdminPage",
    "ModelAdmin",
    "Panel",
    "admin_pages",
    "check_fields",
    "page",
    "panels",
    "register",
]
