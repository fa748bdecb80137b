"""What commands of plugins are made of, see `docs/commands.md`; public."""

from __future__ import annotations

from opa._util.printable import in_one_line
from opa._util.system_user import system_user
from opa._util.tables import print_table
from opa.commands.access_arguments import checked_name, scopes_in
from opa.commands.auditing import audited
from opa.commands.connecting import connected, connects
from opa.commands.durations import duration
from opa.commands.yaml_names import yaml_name

__all__ = [
    "audited",
    "checked_name",
    "connected",
    "connects",
    "duration",
    "in_one_line",
    "print_table",
    "scopes_in",
    "system_user",
    "yaml_name",
]
