"""The section of a version in the changelog."""

from __future__ import annotations

import pytest

from release.changelog import notes_of
from release.problem import ReleaseError
from tests.docker.engine import ROOT

TEXT = """# Changelog

## [Unreleased]

### Added

- Later.

## [1.2.0] - 2027-01-31

### Added

- Now.

## 1.1.0 (2026-12-01)

- Before.

## 1.0.0

## 0.9.0
- First.
"""


@pytest.mark.parametrize(
    ("version", "notes"),
    [
        ("Unreleased", "### Added\n\n- Later.\n"),
        ("1.2.0", "### Added\n\n- Now.\n"),
        ("1.1.0", "- Before.\n"),
        ("0.9.0", "- First.\n"),
    ],
)
def test_notes_are_those_of_the_version(version: str, notes: str) -> None:
    assert notes_of(TEXT, version) == notes


@pytest.mark.parametrize("version", ["1.2", "2.0.0", "1.0.0", "1.2.0rc1", "Added"])
def test_a_version_without_notes_is_refused(version: str) -> None:
    with pytest.raises(ReleaseError, match=version):
        notes_of(TEXT, version)


def test_our_own_changelog_can_be_read() -> None:
    assert "### Added" in notes_of((ROOT / "CHANGELOG.md").read_text(), "Unreleased")
