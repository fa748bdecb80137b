"""What an image consists of, as a CycloneDX document (SBOM): the packages of Python, and those of Debian."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from release.image import docker

_LOOK = Path(__file__).with_name("look.py")


def sbom_of(image: str, version: str, epoch: int) -> str:
    """The document: the same text for the same packages and commit.

    Args:
        image: its name.
        version: of opa-stack.
        epoch: seconds since 1970 that the document has as its time.

    Raises:
        ReleaseError: the image cannot be looked into.
    """
    found = json.loads(docker("run", "--rm", "--entrypoint", "python", image, "-c", _LOOK.read_text()))
    whole = Component(type=ComponentType.CONTAINER, name="opa-stack", version=version, bom_ref="image")
    python = {each["name"]: _of_python(each) for each in found["python"]}
    debian = [_of_debian(each, found["release"]) for each in found["debian"]]
    interpreter = Component(
        type=ComponentType.PLATFORM,
        name="python",
        version=found["interpreter"],
        bom_ref="python",
        purl=PackageURL("generic", None, "python", found["interpreter"]),
    )
    bom = Bom(metadata=BomMetaData(component=whole, timestamp=datetime.fromtimestamp(epoch, UTC)))
    bom.components.update([*python.values(), *debian, interpreter])
    bom.register_dependency(whole, [python["opa-stack"], python["pip"], interpreter, *debian])
    for each in found["python"]:
        bom.register_dependency(python[each["name"]], [python[name] for name in each["requires"] if name in python])
    bom.serial_number = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps([version, epoch, found], sort_keys=True))
    return JsonV1Dot6(bom).output_as_string(indent=2) + "\n"


def _of_python(package: Mapping[str, Any]) -> Component:
    purl = PackageURL("pypi", None, package["name"], package["version"])
    return Component(
        type=ComponentType.LIBRARY,
        name=package["name"],
        version=package["version"],
        bom_ref=str(purl),
        purl=purl,
        licenses=_licences(package["licence"]),
    )


def _of_debian(package: Mapping[str, str], release: str) -> Component:
    qualifiers = {"arch": package["architecture"], "distro": release}
    purl = PackageURL("deb", "debian", package["name"], package["version"], qualifiers)
    return Component(
        type=ComponentType.LIBRARY, name=package["name"], version=package["version"], bom_ref=str(purl), purl=purl
    )


def _licences(text: str) -> Iterable[Any]:
    return [LicenseFactory().make_from_string(text)] if text else []
