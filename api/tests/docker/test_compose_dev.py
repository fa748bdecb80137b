"""The development stack: docker-compose.dev.yml on top of docker-compose.yml."""

from __future__ import annotations

import base64
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.docker.browser import LOOKS, chromium, page_in, picture_folder, serious_findings, show_as, take_picture
from tests.docker.dap import DapClient
from tests.docker.engine import COMPOSE_DEV_FILE, HELLO, ROOT, Answer, Stack, running, write_plugin
from tests.no_answer import NO_ANSWER
from tests.serve.process import wait_until

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [pytest.mark.docker, pytest.mark.timeout(900)]

DOUBLE = """
from opa import get_router

router = get_router()


@router.get("/double")
def double(number: int):
    answer = 2 * number
    return answer  # {note}
"""
LINE = DOUBLE.split("\n").index("    return answer  # {note}") + 1


TASKS = """
from opa import get_router, task

router = get_router()


@task
def triple(number: int):
    answer = 3 * number
    return answer  # {note}


@router.get("/triple")
async def ask(number: int):
    return [await (await triple.send(number)).get(timeout=60), "{note}"]
"""
PICTURES = {("start", "light"), ("run", "dark"), ("dead", "light"), ("start", "phone"), ("schedule", "phone")}
"""Pages of the console and how they look on the pictures in docs/console.md."""
TASK_LINE = TASKS.split("\n").index("    return answer  # {note}") + 1


TICK = """
from opa import get_instance, get_router, task

router = get_router()


@task(schedule=1)
def {word}():
    get_instance("walrus").incr("{word}")


@router.get("/ticks/{{word}}")
def ticks(word: str) -> int:
    return int(get_instance("walrus").get(word) or 0)
"""


NIGHTLY = """
'''Takes stock each night, and prints labels.'''
from celery.exceptions import Reject

from opa import get_router, log, task

router = get_router(tags=["stock"])
STOCK = {{"milk": 12, "bread": {bread}, "butter": 4}}


@task(schedule="0 3 * * *")
def take_stock(shop: str = "Main Street") -> int:
    '''Count what is left, and order what runs low.'''
    log.info("counting the stock of {{}}", shop)
    total = 0
    for item, count in STOCK.items():
        log.info("{{}}: {{}}", item, count)
        total += count
    log.info("{{}} things in all", total)
    return total


@task
def print_label(order: int) -> None:
    '''Print the label of a parcel.'''
    raise Reject("the printer has no paper", requeue=False)


@task
def count_of(item: str) -> str:
    '''How much is left.'''
    return str(STOCK[item])


@router.get("/stock/{{item}}", summary="What is left")
async def stock(item: str) -> str:
    return await (await count_of.send(item)).get(timeout=60)


@router.post("/labels/{{order}}", summary="Print a label")
async def label(order: int) -> str:
    return (await print_label.send(order)).id
"""


@pytest.fixture(scope="module")
def stack(image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    stack = Stack(tmp_path_factory.mktemp("dev"), image, COMPOSE_DEV_FILE)
    stack.leave_out("mongo")
    write_plugin(stack.plugins, "tripling.py", TASKS.format(note="first"))
    write_plugin(stack.plugins, "hello.py", HELLO.format(word="world"))
    write_plugin(stack.plugins, "double.py", DOUBLE.format(note="first"))
    write_plugin(stack.plugins, "nightly.py", NIGHTLY.format(bread='"7 loaves"'))
    (stack.folder / "settings" / "shop.yaml").write_text(
        "default: {PROJECT_NAME: Corner Shop, PROJECT_VERSION: '1.4'}\n"
    )
    with running(stack):
        yield stack


def test_what_failed_at_night_is_found_fixed_run_again_and_seen_to_succeed_on_the_console(stack: Stack) -> None:
    """The first of the module: the others write plugins that would be on its pictures."""
    executable = chromium()
    wait_until(lambda: stack.get("/stock/bread").body == "7 loaves", what="the worker runs tasks")
    for order in (4711, 4712):
        assert stack.post(f"/labels/{order}").status == 200
    stack.compose("exec", "beat", "opa", "schedule", "run", "nightly.take_stock")
    with page_in(executable, f"http://127.0.0.1:{stack.port}") as page:
        page.goto("/opa")
        page.get_by_text("1 run of nightly.take_stock failed").click()
        page.locator("tr", has_text="nightly.take_stock").get_by_role("link").first.click()
        page.get_by_text("TypeError: unsupported operand type(s)").first.wait_for()
        assert "counting the stock of Main Street" in page.get_by_role("region", name="Log").inner_text()
        assert "total += count" in page.get_by_role("region", name="Traceback").inner_text()
        failed = page.url
        page.goto("/opa/dead")
        page.get_by_role("link", name="nightly.print_label").first.wait_for()
        look_at_all_pages(stack, page, failed)

        write_plugin(stack.plugins, "nightly.py", NIGHTLY.format(bread="7"))
        wait_until(lambda: stack.get("/stock/bread").body == "7", what="the worker has what was fixed")
        page.goto(failed)
        page.get_by_role("button", name="Run again").click()
        page.wait_for_url(lambda url: url != failed and "/runs/" in url)
        page.evaluate("window.isSame = true")
        page.locator("h1 .badge.succeeded").wait_for()
        page.get_by_text("23 things in all").wait_for()
        assert page.evaluate("window.isSame"), "it was followed, and not loaded once more"
        page.goto("/opa")
        page.get_by_text("plugin nightly changed").wait_for()


def look_at_all_pages(stack: Stack, page: Page, failed: str) -> None:
    """Have axe look at each page in each look, and take the pictures of the documentation."""
    letter = page.get_by_role("link", name="nightly.print_label").first.get_attribute("href")
    of_shop = {"plugin": "/opa/plugins/nightly", "task": "/opa/tasks/nightly.take_stock", "run": failed}
    of_shop |= {"letter": str(letter), "none": "/opa/none", "landing": "/"}
    names = ("plugins", "routes", "tasks", "runs", "dead", "schedule", "settings")
    pages = {"start": "/opa"} | {name: f"/opa/{name}" for name in names} | of_shop
    folder = picture_folder(stack.folder / "pictures", ROOT / "docs" / "images")
    findings = []
    for name, path in pages.items():
        page.goto(path)
        for look in LOOKS:
            show_as(page, look)
            findings += [f"{path} {look}: {found}" for found in serious_findings(page)]
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), (
                f"{path} {look} scrolls sideways"
            )
            if (name, look) in PICTURES:
                take_picture(page, folder / f"console-{name}-{look}.png")
    assert findings == []


def attached(stack: Stack, port: int, file: str, line: int) -> DapClient:
    debugger = DapClient("127.0.0.1", port)
    debugger.attach(
        local_root=str(stack.plugins), remote_root="/plugins", breakpoints={str(stack.plugins / file): [line]}
    )
    return debugger


def assert_stops_and_shows_values(stack: Stack, debugger: DapClient, path: str, answer: int) -> list[Answer]:
    answers: list[Answer] = []
    caller = threading.Thread(target=lambda: answers.append(stack.get(f"{path}?number=21")))
    caller.start()
    variables = debugger.variables_where_stopped()
    assert (variables["number"], variables["answer"]) == ("21", str(answer))
    debugger.resume()
    caller.join()
    return answers


def test_a_changed_task_is_run_as_changed_without_a_restart(stack: Stack) -> None:
    started = stack.inspect("worker", "{{.State.StartedAt}}")
    stack.wait_for("/triple?number=2", [6, "first"])
    write_plugin(stack.plugins, "tripling.py", TASKS.format(note="second").replace("3 * number", "number + 3"))
    stack.wait_for("/triple?number=2", [5, "second"])
    assert stack.inspect("worker", "{{.State.StartedAt}}") == started
    write_plugin(stack.plugins, "tripling.py", TASKS.format(note="first"))
    stack.wait_for("/triple?number=2", [6, "first"])


def has_run(stack: Stack, word: str) -> bool:
    answer = stack.get(f"/ticks/{word}")
    return answer.status == 200 and answer.body > 0


def test_a_changed_schedule_holds_without_a_restart(stack: Stack) -> None:
    started = stack.inspect("beat", "{{.State.StartedAt}}")
    write_plugin(stack.plugins, "ticking.py", TICK.format(word="tick"))
    wait_until(lambda: has_run(stack, "tick"), seconds=40, what="the schedule of the new plugin holds")
    write_plugin(stack.plugins, "ticking.py", TICK.format(word="tock"))
    wait_until(lambda: has_run(stack, "tock"), seconds=40, what="the changed schedule holds")
    assert stack.inspect("beat", "{{.State.StartedAt}}") == started


def test_a_debugger_stops_in_a_task_of_the_worker(stack: Stack) -> None:
    stack.wait_for("/triple?number=2", [6, "first"])
    with attached(stack, stack.worker_debugger_port, "tripling.py", TASK_LINE) as debugger:
        answers = assert_stops_and_shows_values(stack, debugger, "/triple", 63)
    assert answers == [Answer(200, [63, "first"])]


def flower(stack: Stack, path: str, password: str | None = None) -> tuple[int, str]:
    request = urllib.request.Request(f"http://127.0.0.1:{stack.flower_port}{path}")
    if password:
        request.add_header("Authorization", "Basic " + base64.b64encode(password.encode()).decode())
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, ""
    except NO_ANSWER:
        return 0, ""


def test_flower_shows_the_worker_to_those_who_have_the_password(stack: Stack) -> None:
    assert flower(stack, "/workers")[0] == 401
    assert flower(stack, "/workers", "flower:wrong")[0] == 401
    host = stack.inspect("worker", "{{.Config.Hostname}}")
    wait_until(
        lambda: f"celery@{host}" in flower(stack, "/workers", "flower:flower")[1], what="flower shows the worker"
    )


@pytest.fixture(scope="module")
def alone(stack: Stack) -> None:
    """From here on, the api is what is looked at: nothing else starts again with each change."""
    stack.compose("stop", "--timeout", "5", "worker", "beat", "flower")


@pytest.mark.usefixtures("alone")
def test_a_changed_plugin_is_served_without_a_restart(stack: Stack) -> None:
    started = stack.inspect("api", "{{.State.StartedAt}}")
    write_plugin(stack.plugins, "hello.py", HELLO.format(word="moon"))
    stack.wait_for("/hello", "moon")
    assert stack.inspect("api", "{{.State.StartedAt}}") == started


@pytest.mark.usefixtures("alone")
def test_a_mistake_in_a_plugin_is_shown_and_fixed_without_a_restart(stack: Stack) -> None:
    write_plugin(stack.plugins, "hello.py", "def broken(:\n")
    wait_until(lambda: "restarts when a file changes" in stack.log)
    write_plugin(stack.plugins, "hello.py", HELLO.format(word="sun"))
    stack.wait_for("/hello", "sun")


@pytest.mark.usefixtures("alone")
def test_a_change_of_the_package_is_served(stack: Stack) -> None:
    write_plugin(
        stack.folder / "api/data/opa/plugins", "extra.py", HELLO.format(word="extra").replace("hello", "extra")
    )
    stack.wait_for("/extra", "extra")


@pytest.mark.usefixtures("alone")
def test_the_demo_plugins_are_there(stack: Stack) -> None:
    assert stack.get("/demo/hello").status == 200


@pytest.mark.usefixtures("alone")
def test_an_error_shows_the_values_of_variables(stack: Stack) -> None:
    text = DOUBLE.format(note="").replace("double", "fails").replace("2 * number", "number / (number - number)")
    write_plugin(stack.plugins, "fails.py", text)
    wait_until(lambda: stack.get("/fails?number=4711", timeout=5).status == 500)
    wait_until(lambda: "ZeroDivisionError" in stack.log)
    assert "└ 4711" in stack.log


@pytest.mark.usefixtures("alone")
def test_a_debugger_stops_at_a_breakpoint_also_after_a_reload(stack: Stack) -> None:
    place = (stack.debugger_port, "double.py", LINE)
    with attached(stack, *place) as debugger:
        assert assert_stops_and_shows_values(stack, debugger, "/double", 42) == [Answer(200, 42)]
        listens = stack.log.count("a debugger can attach on")
        write_plugin(stack.plugins, "double.py", DOUBLE.format(note="second"))
        wait_until(lambda: stack.log.count("a debugger can attach on") == listens + 1, what="it listens again")
        wait_until(lambda: stack.get("/readyz", timeout=2).status == 200)
        with attached(stack, *place) as again:
            assert assert_stops_and_shows_values(stack, again, "/double", 42) == [Answer(200, 42)]
