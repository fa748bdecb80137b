"""Runs in an image: prints which packages it has, as JSON."""

import json
import platform
import re
import subprocess
import sys
from importlib.metadata import distributions

from packaging.requirements import Requirement

PIP = "/opt/pip.whl"
"""A file that is run by opa deps, and that nothing imports: it is in no folder of packages."""


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _requires(distribution) -> list:  # type: ignore[no-untyped-def, type-arg]
    """Which packages it requires here, with any of its extras."""
    extras = ["", *(distribution.metadata.get_all("Provides-Extra") or ())]
    found = set()
    for text in distribution.requires or ():
        requirement = Requirement(text)
        if requirement.marker is None or any(requirement.marker.evaluate({"extra": extra}) for extra in extras):
            found.add(_canonical(requirement.name))
    return sorted(found)


def _licence(metadata) -> str:  # type: ignore[no-untyped-def]
    """As far as a package says it in a line: some have the text of the licence there."""
    said = metadata.get("License-Expression") or metadata.get("License") or ""
    if said and "\n" not in said and len(said) <= 100:
        return said
    of_classifiers = [
        each.rpartition(" :: ")[2] for each in metadata.get_all("Classifier") or () if each.startswith("License :: ")
    ]
    return of_classifiers[0] if of_classifiers else ""


python = {
    _canonical(each.metadata["Name"]): {
        "name": _canonical(each.metadata["Name"]),
        "version": each.version,
        "licence": _licence(each.metadata),
        "requires": _requires(each),
    }
    for each in distributions(path=[*sys.path, PIP])
}
listed = subprocess.run(
    ["dpkg-query", "--show", "--showformat", "${Package}\t${Version}\t${Architecture}\n"],  # noqa: S607
    capture_output=True,
    text=True,
    check=True,
).stdout
debian = [dict(zip(("name", "version", "architecture"), line.split("\t"), strict=True)) for line in listed.splitlines()]
release = platform.freedesktop_os_release()
print(
    json.dumps(
        {
            "python": [python[name] for name in sorted(python)],
            "debian": sorted(debian, key=lambda each: each["name"]),
            "release": f"{release['ID']}-{release['VERSION_ID']}",
            "interpreter": platform.python_version(),
        }
    )
)
