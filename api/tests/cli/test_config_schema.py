from __future__ import annotations

import json

from typer.testing import CliRunner

from opa.cli.commands import app
from tests.project import Project


def test_the_schema_has_every_setting_and_those_of_the_plugins(project: Project) -> None:
    project.plugin(
        "reports.py",
        """
        from pydantic import BaseModel
        from opa import PluginSettings

        class Server(BaseModel):
            url: str

        class Reports(PluginSettings):
            servers: list[Server] = []
        """,
    )
    schema = json.loads(CliRunner().invoke(app, ["config", "schema"], catch_exceptions=False).stdout)
    assert "PLUGIN_PATHS" in schema["properties"]
    reference = schema["properties"]["PLUGIN_SETTINGS"]["properties"]["reports"]["$ref"]
    model = schema["$defs"][reference.removeprefix("#/$defs/")]
    assert model["additionalProperties"] is False
    assert model["properties"]["servers"]["items"]["$ref"] == f"{reference}/$defs/Server"
    assert model["$defs"]["Server"]["properties"]["url"]["type"] == "string"
