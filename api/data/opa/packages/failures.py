"""Why uv or pip found no solution, or installed nothing, in one line: which plugins are concerned, and what to do."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Sequence

from opa._util.distributions import canonical_name
from opa._util.masking.secrets import mask_text
from opa.errors import PackagesError
from opa.loading.own_extras import OWN
from opa.loading.package_lock import LOCK
from opa.packages.needs import Need
from opa.packages.own import OwnPackages

PLUGIN = "opa-plugin-"
"""Before the number of a plugin, which is what uv takes for a package that has the needs of the plugin."""
MAX_WORDS = 1500
"""Characters of what uv or pip has said that an error quotes."""

_PLUGIN = re.compile(rf"(?:all versions of )?{PLUGIN}(\d+)(?:==0)?")
_NAME = r"([A-Za-z0-9][A-Za-z0-9._-]*?)"
_FACT = re.compile(
    r"([A-Za-z0-9][\w.\[\]-]*(?:[=<>!~]+[\w.*+!]+)?) depends? on ([A-Za-z0-9][\w.\[\]-]*(?:[=<>!~]+[^ ]*)?)"
)
_NOT_FOUND = re.compile(
    rf"{_NAME}(?:\[[\w,.-]*\])? was not found in the (?:package registry|provided package locations|cache)"
    r"|No matching distribution found for ([A-Za-z0-9][A-Za-z0-9._-]*)"
)
_ONLY = re.compile(
    rf"(?:only (?:the following versions of )?{_NAME}([<=>!~][^ ]*)? (?:is|are) available"
    rf"|there (?:is|are) no versions? of {_NAME}([<=>!~][^ ]*)?)(?= |,|$)"
)
_VERSIONS_OF_PIP = re.compile(rf"satisfies the requirement {_NAME}(?:[<=>!~;\[ ][^(]*)?\(from versions: ([^)]*)\)")
_OFFLINE = re.compile(
    r"failed to fetch|could not connect|error sending request|dns error|network connectivity is disabled|offline"
    r"|connection (?:error|refused|broken|reset)|timed out|newconnectionerror|name resolution|failed to establish",
    re.IGNORECASE,
)
_STATUS = re.compile(r"\b(40[137]|5\d\d)\b[^\n]{0,40}?(?:Unauthorized|Forbidden|Proxy|Server|Unavailable|Gateway)")
_ADDRESS = re.compile(r"https?://[^\s()]+[^\s():.]")
_CERTIFICATE = re.compile(r"certificate", re.IGNORECASE)
_FULL = re.compile(r"no space left|disk quota|os error 28", re.IGNORECASE)
_HASH = re.compile(r"hash mismatch|DO NOT MATCH THE HASHES", re.IGNORECASE)
_NOT_HERE = re.compile(r"no wheels? with a matching|is not a supported wheel|no matching distribution", re.IGNORECASE)
_NO_RIGHT = re.compile(r"permission denied|read-only file system|externally.managed", re.IGNORECASE)
INDEX = "Check the network, and the address of the index if one is set (UV_DEFAULT_INDEX, PIP_INDEX_URL)"


def words_of(said: str) -> str:
    """What uv or pip has said as an error, in one line without passwords."""
    lines = [
        line.strip()
        for line in said.splitlines()
        if line.strip() and not line.startswith(("[notice]", "WARNING:", "DEPRECATION:"))
    ]
    words = " ".join(re.sub(r"^(?:error|ERROR|cause|hint|×|╰─▶|├─▶|│)[:\s]*", "", line) for line in lines)
    return mask_text(words)[:MAX_WORDS]


def refusal_of_own(needs: Iterable[Need], own: OwnPackages) -> PackagesError | None:
    """The error where a plugin needs a version that opa-stack does not run with, or not as it is installed."""
    for need in needs:
        version = own.versions.get(need.name)
        if version is not None and not need.requirement.specifier.contains(version, prereleases=True):
            return PackagesError(
                f"{need}, and opa-stack needs {own.told(need.name)}: it would have to change",
                hint=f"Use a version of the plugin that works with it, or let '{need.plugin}' ask for other versions",
            )
    return None


def failed_resolution(said: str, needs: Sequence[Need], own: OwnPackages, plugins: Sequence[str] = ()) -> PackagesError:
    """Why there is no solution.

    Args:
        said: what uv or pip has printed as errors.
        needs: what was to be resolved.
        own: what opa-stack needs.
        plugins: the names of the plugins, by the numbers that uv knows.
    """
    if (passing := _passing(said)) is not None:
        return passing
    words = words_of(said)
    named = {plugins[int(number)] for number in _PLUGIN.findall(words) if int(number) < len(plugins)}
    meant = [need for need in needs if need.plugin in named] or list(needs)
    if (single := _of_one_package(words, meant)) is not None:
        return single
    for one, other in itertools.combinations(meant, 2):
        if one.name == other.name and one.plugin != other.plugin and _exclude(one, other, words):
            return PackagesError(f"{one} and {other}, which exclude each other", hint="Change one of them")
    concerned = [need for need in meant if re.search(rf"\b{re.escape(need.name)}\b", words)] or meant
    if len({need.plugin for need in concerned}) == 1 and (no_version := _no_version(words, concerned)):
        return no_version
    told = " and ".join(map(str, concerned[:4])) + (f" and {len(concerned) - 4} more" if len(concerned) > 4 else "")
    explained = _explained(words)
    if of_own := [
        name for name, version in own.versions.items() if re.search(rf"\b{re.escape(f'{name}=={version}')}\b", words)
    ]:
        needed = [name for name in of_own if name != OWN]
        which = (
            f"opa-stack needs {' and '.join(map(own.told, needed))}" if needed else f"this is {OWN} {own.versions[OWN]}"
        )
        return PackagesError(
            f"{told}, and {which}: no versions fit together. {explained}",
            hint="Use versions that work with these",
        )
    return PackagesError(f"{told}: no versions fit together. {explained}", hint="Change what one of them asks for")


def failed_installation(said: str, where: str) -> PackagesError:
    """Why packages were not installed.

    Args:
        said: what uv or pip has printed as errors.
        where: the environment, or the folder.
    """
    words = words_of(said)
    if _FULL.search(words):
        return PackagesError("the disk is full, and nothing was installed", where=where, hint="Free some space")
    if _HASH.search(words):
        return PackagesError(
            f"a package is not what {LOCK} says: {words}",
            hint="Nothing was installed. Find out why the index has another file; opa deps makes the lock again",
        )
    if _NO_RIGHT.search(words):
        return PackagesError(
            f"packages cannot be written: {words}",
            where=where,
            hint="Name a folder with --target, or use an environment of your own (python -m venv)",
        )
    if (passing := _passing(said)) is not None:
        return passing
    if _NOT_FOUND.search(words) or _NOT_HERE.search(words):
        return PackagesError(
            f"the index does not have what {LOCK} asks for, or not for this platform: {words}",
            hint="Make the lock again with opa deps, or use another Python",
        )
    return PackagesError(f"packages cannot be installed: {words}", where=where, hint="Nothing was changed; try again")


def _of_one_package(words: str, needs: Sequence[Need]) -> PackagesError | None:
    """The error where the index does not have what one plugin alone asks for."""
    if (match := _VERSIONS_OF_PIP.search(words)) and "from versions: none" not in words:
        asking = [need for need in needs if need.name == canonical_name(match[1]) and need.requirement.specifier]
        return _no_version(words, asking)
    match = _NOT_FOUND.search(words)
    return _not_found(canonical_name(match[1] or match[2]), needs) if match else None


def _explained(words: str) -> str:
    """What packages need besides what plugins say that they do; all that was said where nothing of that is in it."""
    facts = [f"{one} needs {other.rstrip(',.')}" for one, other in _FACT.findall(words) if not one.startswith(PLUGIN)]
    return "; ".join(dict.fromkeys(facts)) or words


def _passing(said: str) -> PackagesError | None:
    """What may be over in a moment, or has to do with the index alone."""
    if match := _STATUS.search(said):
        address = _ADDRESS.search(said)
        return PackagesError(
            f"the index answers {match[1]}{f' at {mask_text(address[0])}' if address else ''}",
            hint="Check its address and credentials (UV_DEFAULT_INDEX, PIP_INDEX_URL, ~/.netrc)",
        )
    if _OFFLINE.search(said):
        if _CERTIFICATE.search(said):
            return PackagesError(
                f"the certificate of the index is not trusted: {words_of(said)}",
                hint="Name the file with the right ones (SSL_CERT_FILE, PIP_CERT)",
            )
        return PackagesError("the index cannot be reached", hint=INDEX)
    return None


def _not_found(name: str, needs: Sequence[Need]) -> PackagesError:
    asking = [need for need in needs if need.name == name]
    if asking:
        others = sorted({need.plugin for need in asking[1:]} - {asking[0].plugin})
        more = f", as plugins {', '.join(others)} do" if others else ""
        return PackagesError(
            f"there is no package '{name}', which plugin '{asking[0].plugin}' needs{more}",
            where=asking[0].where,
            hint="Fix its name, or see that the index of this machine has it",
        )
    told = " or ".join(map(str, needs[:3]))
    return PackagesError(
        f"there is no package '{name}', which another needed package needs: {told}",
        hint="See that the index of this machine has it",
    )


def _no_version(words: str, needs: Sequence[Need]) -> PackagesError | None:
    """The error where one need alone has no version."""
    if match := _VERSIONS_OF_PIP.search(words):
        words += f" only {canonical_name(match[1])}<={match[2].rpartition(' ')[2]} is available"
    for match in _ONLY.finditer(words):
        name = canonical_name(match[1] or match[3])
        for need in needs:
            if need.name == name:
                available = f"; the index has {name}{match[2]}" if match[2] else ""
                return PackagesError(
                    f"there is no version of {need.text}, which plugin '{need.plugin}' needs{available}",
                    where=need.where,
                    hint="Ask for a version that there is, or see that the index of this machine has it",
                )
    return None


def _exclude(one: Need, other: Need, words: str) -> bool:
    """Whether two needs of the same package are what the explanation is about."""
    return one.text != other.text and re.search(rf"\b{re.escape(one.name)}\b", words) is not None
