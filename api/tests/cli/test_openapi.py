"""`opa openapi`, and the page about typed clients."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from opa import OpaError
from opa.cli.commands import app
from tests.docs.serving import served
from tests.project import Project


def openapi(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["openapi", *arguments], catch_exceptions=False)


def document(result: Result) -> Any:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.fixture
def shop(project: Project) -> Project:
    project.plugin("shop.py", "from opa import get_router\nrouter = get_router()\nrouter.get('/milk/ä')(lambda: 1)\n")
    return project


def test_it_prints_what_the_api_serves(shop: Project) -> None:
    with shop.client() as client:
        served = client.get("/openapi.json").json()

    assert document(openapi()) == served
    assert "/milk/ä" in served["paths"]


def test_it_is_the_same_each_time_and_a_file_of_lines(shop: Project) -> None:
    text = openapi().stdout

    assert text == openapi().stdout
    assert text.endswith("}\n")
    assert '    "/milk/ä": {' in text.splitlines()


def test_it_is_there_where_the_api_does_not_serve_it(shop: Project) -> None:
    shop.settings(OPENAPI_URL=None, DOCS_URL=None, REDOC_URL=None)

    assert "/milk/ä" in document(openapi())["paths"]


def test_it_has_the_prefix_of_the_proxy(shop: Project) -> None:
    shop.settings(OPENAPI_PREFIX="/api/v1")

    assert document(openapi())["servers"] == [{"url": "/api/v1"}]


def test_a_file_is_written_and_not_touched_where_nothing_has_changed(shop: Project) -> None:
    file = shop.folder / "openapi.json"

    assert openapi("--output", str(file)).stdout == ""
    assert file.read_text() == openapi().stdout
    os.utime(file, ns=(1, 1))
    openapi("-o", str(file))
    assert file.stat().st_mtime_ns == 1
    shop.plugin("more.py", "from opa import get_router\nrouter = get_router()\nrouter.get('/more')(lambda: 1)\n")
    openapi("-o", str(file))
    assert "/more" in json.loads(file.read_text())["paths"]
    assert sorted(path.name for path in shop.folder.iterdir()) == ["openapi.json", "plugins", "settings"]


def test_a_link_stays_one_and_a_device_is_written_to(shop: Project) -> None:
    link = shop.folder / "link.json"
    link.symlink_to("real.json")

    openapi("-o", str(link))
    assert link.is_symlink()
    assert (shop.folder / "real.json").read_text() == openapi().stdout
    assert openapi("-o", "/dev/null").exit_code == 0


@pytest.mark.parametrize("where", ["gone/openapi.json", "plugins/shop.py/openapi.json"])
def test_a_file_that_cannot_be_written_is_told(shop: Project, where: str) -> None:
    with pytest.raises(OpaError, match="the OpenAPI document cannot be written: .* Give --output a file"):
        openapi("-o", where)


def test_a_route_that_cannot_be_described_is_told_and_the_file_stays(shop: Project) -> None:
    file = shop.folder / "openapi.json"
    openapi("-o", str(file))
    before = file.read_text()
    shop.plugin(
        "odd.py",
        """
        from typing import Annotated, Any
        from pydantic import BaseModel, PlainValidator
        from collections.abc import Callable
        from opa import get_router
        class Odd(BaseModel):
            call: Callable[[], int]
        router = get_router()
        @router.get("/odd")
        def odd() -> Odd: ...
        """,
    )
    with pytest.raises(OpaError, match="/odd"):
        openapi("-o", str(file))
    assert file.read_text() == before


PAGE = Path(__file__).parents[3] / "docs" / "typed-client.md"


def block(beginning: str) -> str:
    """The text of the code block of the page that begins so."""
    return PAGE.read_text().partition(f"```{beginning}\n")[2].partition("\n```")[0]


@pytest.fixture(scope="module")
def client_maker(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The commands of an environment with openapi-python-client; what the tests have is not installed once more."""
    folder = tmp_path_factory.mktemp("client-maker")
    venv.create(folder, symlinks=True)
    packages = next(folder.glob("lib/python*/site-packages"))
    (packages / "tests.pth").write_text(f"{Path(pytest.__file__).parents[1]}\n")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "--python", str(folder)]
    done = subprocess.run(
        [*pip, "install", "--retries", "0", "--timeout", "20", "openapi-python-client", "httpx"],
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    if done.returncode:
        pytest.skip(f"openapi-python-client cannot be installed here: {done.stderr.strip().splitlines()[-1]}")
    return folder / "bin"


def test_the_client_of_the_page_calls_the_api(project: Project, client_maker: Path) -> None:
    project.plugin("orders.py", block("python plugins/orders.py"))
    assert openapi("--output", "openapi.json").exit_code == 0
    _, *arguments = block("sh").split()

    subprocess.run([client_maker / arguments[0], *arguments[1:]], check=True, timeout=120, capture_output=True)
    with served(project.app()) as client:
        url = str(client.base_url).rstrip("/")
        Path("shop.py").write_text(block("python shop.py").replace("http://localhost:8000", url))
        said = subprocess.run([client_maker / "python", "shop.py"], check=True, timeout=60, stdout=subprocess.PIPE)

    assert said.stdout == b"bread 3\n"


def test_a_folder_is_no_file(shop: Project) -> None:
    for name in (str(shop.folder), ""):
        with pytest.raises(OpaError, match="the OpenAPI document cannot be written: Is a directory"):
            openapi("-o", name)


def test_a_pipe_is_written_to_and_not_read(shop: Project) -> None:
    pipe = shop.folder / "pipe"
    os.mkfifo(pipe)
    reading = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        run([sys.executable, "-m", "opa.cli", "openapi", "-o", str(pipe)])
        assert "/milk/ä" in json.loads(os.read(reading, 65536))["paths"]
    finally:
        os.close(reading)


def test_what_is_printed_is_json_on_a_terminal_of_another_encoding(shop: Project) -> None:
    printed = run([sys.executable, "-m", "opa.cli", "openapi"], PYTHONIOENCODING="ascii")

    assert "/milk/ä" in json.loads(printed)["paths"]


def run(command: list[str], **environment: str) -> bytes:
    return subprocess.run(command, capture_output=True, timeout=60, check=True, env=os.environ | environment).stdout
