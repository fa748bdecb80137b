"""What the document says of the image."""

from __future__ import annotations

import json
import os
import re
from urllib.parse import urlsplit

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

import opa
from release.sbom import sbom_of
from tests.docker.engine import ROOT, docker

pytestmark = [pytest.mark.docker, pytest.mark.timeout(900)]


def test_it_has_each_package_of_the_image_and_nothing_of_the_index(image: str) -> None:
    text = sbom_of(image, opa.__version__, 1_800_000_000)
    assert text == sbom_of(image, opa.__version__, 1_800_000_000)
    problem = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    assert problem is None, str(problem)[:300]
    document = json.loads(text)
    assert document["metadata"]["component"]["version"] == opa.__version__
    found = {component["purl"]: component for component in document["components"]}
    locked = re.findall(
        r"^([a-z0-9-]+)==([^ ;]+)([^\\\n]*)", (ROOT / "api/requirements.lock").read_text(), re.MULTILINE
    )
    everywhere = {f"pkg:pypi/{name}@{version}" for name, version, marker in locked if not marker.strip()}
    assert everywhere
    assert everywhere <= found.keys()
    [pip] = re.findall(r"^pip==([^ ;]+)", (ROOT / "api/requirements-pip.lock").read_text(), re.MULTILINE)
    assert f"pkg:pypi/pip@{pip}" in found, "which opa deps runs"
    assert found[f"pkg:pypi/opa-stack@{opa.__version__}"]["licenses"] == [{"license": {"id": "MIT"}}]
    listed = docker("run", "--rm", "--entrypoint", "dpkg-query", image, "--show").splitlines()
    assert sum(purl.startswith("pkg:deb/debian/") for purl in found) == len(listed)
    requires = {each["ref"]: each.get("dependsOn", []) for each in document["dependencies"]}
    [own] = [ref for ref in requires if ref.startswith("pkg:pypi/opa-stack@")]
    assert any(ref.startswith("pkg:pypi/fastapi@") for ref in requires[own])
    for variable in ("PIP_INDEX_URL", "UV_INDEX_URL", "UV_DEFAULT_INDEX"):
        host = urlsplit(os.environ.get(variable, "")).hostname
        assert not host or host not in text
    assert "http://" not in text.replace("http://cyclonedx.org/schema/", "")
