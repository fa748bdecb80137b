"""Settings.

Kinds: a variable that somebody else has set is taken for a setting (B8); a settings file in Python is not run as the module
that it is, and its values are not those of the other formats (B13).
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import opa
from tests.cases.place import Place, case

HEALTH_CHECK = Path(opa.__file__).with_name("healthcheck.py")


@case("B8", "Variables that Kubernetes makes for a service called `opa` stop nothing")
def a_service_called_opa(place: Place) -> None:
    links = {
        "OPA_PORT": "tcp://10.96.12.7:8000",
        "OPA_SERVICE_HOST": "10.96.12.7",
        "OPA_PORT_8000_TCP": "tcp://10.96.12.7:8000",
        "OPA_FLOWER_PORT": "tcp://10.96.12.8:5555",
    }
    checked = place.run("config", "PORT", **links)
    assert checked.returncode == 0, checked.stderr
    assert "8000    default-settings.yaml" in checked.stdout
    assert "left alone" in checked.stderr
    command = [sys.executable, "-I", str(HEALTH_CHECK)]
    asked = subprocess.run(command, env=links, capture_output=True, text=True, timeout=20, check=False)
    assert not asked.stderr


@case("B13", "A settings file in Python may have dataclasses and paths")
def a_settings_file_with_a_dataclass(place: Place) -> None:
    place.write(
        "settings/s.py",
        """
        from dataclasses import dataclass
        from logging import DEBUG
        from pathlib import Path

        @dataclass
        class Smtp:
            host: str = "mail"

        SMTP = {"host": Smtp().host}
        PLUGIN_PATHS = [Path(__file__).parent.parent / "plugins"]
        """,
    )
    del place.environ["OPA_PLUGIN_PATHS"]
    shown = place.run("config", "SMTP")
    assert '"mail"' in shown.stdout, shown.stderr
    checked = place.run("check")
    assert checked.returncode == 0, checked.stderr
