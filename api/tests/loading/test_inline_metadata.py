from __future__ import annotations

from pathlib import Path

import pytest

from opa.errors import MetadataError, RequirementError
from opa.loading.metadata import read_metadata
from tests.project import Project

BLOCK = '# /// script\n# requires-python = ">=3.11"\n# dependencies = [\n#   "ladle>=1",\n#   "spoon",\n# ]\n# ///\n'


def module(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "soup.py"
    file.write_bytes(text.encode())
    return file


def test_the_block_of_a_file_is_read_without_running_it(tmp_path: Path) -> None:
    file = module(tmp_path, f"#!/usr/bin/env python\n{BLOCK}raise SystemExit\n")
    metadata = read_metadata(file)
    assert [str(each) for each in metadata.packages] == ["ladle>=1", "spoon"]
    assert metadata.packages_from == (f"{file}:2", f"{file}:2")
    assert str(metadata.python) == ">=3.11"


def test_the_block_and_the_metadata_count_both(tmp_path: Path) -> None:
    file = module(tmp_path, BLOCK)
    (tmp_path / "soup-meta.json").write_text('{"packages": ["spoon>=2"], "version": "1.0"}')
    metadata = read_metadata(file)
    assert [str(each) for each in metadata.packages] == ["spoon>=2", "ladle>=1", "spoon"]
    assert str(metadata.version) == "1.0"


@pytest.mark.parametrize(
    "text",
    [
        "x = 1\n",
        "# /// script-of-mine\n# a = 1\n# ///\n",
        "#/// script\n# ///\n",
        "    # /// script\n    # ///\n",
        '"""\n# /// scripts\n"""\n',
    ],
)
def test_other_comments_are_none(tmp_path: Path, text: str) -> None:
    assert read_metadata(module(tmp_path, text)).packages == ()


def test_lines_may_end_as_on_windows_and_what_is_for_other_tools_is_left_to_them(tmp_path: Path) -> None:
    text = BLOCK.replace("# ///\n", "# [tool.uv]\n# index = 1\n#\n# ///\n# ///\n").replace("\n", "\r\n")
    with pytest.raises(MetadataError):  # the last line that ends a block does: the first is a line of TOML
        read_metadata(module(tmp_path, text))
    assert len(read_metadata(module(tmp_path, text.replace("# ///\r\n# ///\r\n", "# ///\r\n"))).packages) == 2


@pytest.mark.parametrize(
    ("text", "told", "line"),
    [
        ('# /// script\n# dependencies = ["a"\n# b = 1\n# ///\n', "is not valid TOML", 3),
        ("# /// script\n# dependencies = nothing\n# ///\n", "is not valid TOML: Invalid value", 2),
        ("# /// script\n# a = 1\nx = 1\n", "has no end", 1),
        (f"{BLOCK}\n{BLOCK}", "is there a second time", 9),
        ("# /// script \n# ///\n", "has white space behind it", 1),
        ('# /// script\n# dependencies = "a"\n# ///\n', "'dependencies' in plugin metadata is not a list", 1),
        ("# /// script\n# requires-python = 3\n# ///\n", "'requires-python' in plugin metadata is an int", 1),
        ('# /// script\n# requires-python = "new"\n# ///\n', "is not a range of versions", 1),
        ('# /// script\n# dependencies = ["-r a"]\n# ///\n', "has '-r a', which is not a requirement", 1),
        (f"# /// script\n# a = {'[' * 60}{']' * 60}\n# ///\n", "cannot be used", 1),
    ],
)
def test_a_block_with_a_mistake_is_told_with_its_line(tmp_path: Path, text: str, told: str, line: int) -> None:
    file = module(tmp_path, text)
    with pytest.raises(MetadataError) as caught:
        read_metadata(file)
    assert told in str(caught.value)
    assert f"({file}:{line})" in str(caught.value)
    assert caught.value.hint


def test_a_plugin_for_another_python_is_broken_and_says_so(project: Project) -> None:
    project.plugin("soup.py", '# /// script\n# requires-python = ">=3.99"\n# ///\nraise SystemExit\n')
    with pytest.raises(RequirementError, match=r"plugin 'soup' requires Python >=3\.99, and this is 3\."):
        project.prepare()
