from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer import Typer
from typer.testing import CliRunner

from bench import __main__ as command
from bench import plausible
from bench.goals import Bound, Figure, Row
from bench.growth import Growth, Point
from bench.log_lines import LINES, LineCost
from bench.memory import Memory
from bench.parts import PARTS, Found
from bench.report import as_json, as_markdown, growth_as_markdown, write_page

FAST = Figure("requests/s", 1.25, Bound.AT_LEAST, 1)
SLOW = Figure("time", 1.2, Bound.AT_MOST, 1.1)
IMPOSSIBLE = Figure("time", 0, Bound.AT_MOST, 1.1)
LIGHT = Figure("memory", 7.04, Bound.AT_MOST, 15, "%")


@pytest.mark.parametrize(
    ("figure", "reached", "used"), [(FAST, True, 0.8), (SLOW, False, 1.0909), (LIGHT, True, 0.4693)]
)
def test_a_goal_is_reached_or_not_and_so_much_of_it_is_used(figure: Figure, reached: bool, used: float) -> None:
    assert figure.is_reached is reached
    assert figure.used == pytest.approx(used, rel=1e-3)


def test_a_row_has_each_of_its_figures_and_is_reached_when_all_are() -> None:
    table = as_markdown([Row("hello", "bare", (FAST,)), Row("many", "few", (SLOW, LIGHT))])
    assert table.splitlines()[2:] == [
        "| hello | bare | requests/s ≥ 1 × | 1.25 × | yes |",
        "| many | few | time ≤ 1.1 ×; memory ≤ 15 % | time 1.20 ×; memory 7.04 % | no |",
    ]


def test_the_growth_has_the_bare_application_beside_the_stack() -> None:
    growth = Growth((1, 1000), 10, (Point(1, 80, 0.001, 0.002),) * 2, (Point(2, 50, 0.003, 0.004),) * 2)
    last = growth_as_markdown(growth).splitlines()[-1]
    assert last == "| 1,000 | 1.00 | 2.00 | 80 | 50 | 1.00 | 3.00 | 2.00 | 4.00 |"


def test_a_page_keeps_what_stands_around_the_blocks(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    write_page(page, {"one": "first", "two": "second"})
    page.write_text(f"# Title\n\n{page.read_text()}\nThe end.\n")
    before = page.read_text()
    write_page(page, {"two": "new"})
    assert page.read_text() == before.replace("second", "new")


def test_a_page_without_the_marks_is_left_alone(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# Title\n")
    with pytest.raises(ValueError, match="has no marks of 'one'"):
        write_page(page, {"one": "first"})
    assert page.read_text() == "# Title\n"


def test_the_file_has_every_number_and_what_it_was_measured_on() -> None:
    found = json.loads(json.dumps(as_json([Row("many", "few", (SLOW,))], {"hello": Point(1, 2, 3, 4)}, {"machine": 1})))
    assert found == {
        "machine": 1,
        "rows": [
            {
                "work": "many",
                "against": "few",
                "reached": False,
                "figures": [{"name": "time", "goal": "≤ 1.1", "measured": 1.2, "unit": "×", "reached": False}],
            }
        ],
        "details": {"hello": {"start": 1, "megabytes": 2, "last": 3, "missing": 4}},
    }


def run(monkeypatch: pytest.MonkeyPatch, figure: Figure, *options: str) -> tuple[int, str]:
    """`python -m bench` with one measurement, `ours`, that shows this."""
    monkeypatch.setattr(command, "PARTS", {"ours": lambda *_: Found({}, (Row("many", "few", (figure,)),))})
    monkeypatch.setattr(plausible, "CHECKS", {"ours": lambda _: figure is not IMPOSSIBLE})
    app = Typer()
    app.command()(command.main)
    result = CliRunner().invoke(app, list(options))
    return result.exit_code, result.output


@pytest.mark.parametrize(
    ("figure", "options", "status"),
    [(SLOW, ["--strict"], 1), (SLOW, [], 0), (FAST, ["--strict"], 0)],
)
def test_a_goal_that_is_missed_is_an_error_where_that_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, figure: Figure, options: list[str], status: int
) -> None:
    found, output = run(monkeypatch, figure, "ours", *options)
    assert found == status
    assert figure.value_text in output


def test_an_impossible_number_is_an_error_also_where_no_goal_is_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    status, output = run(monkeypatch, IMPOSSIBLE, "ours", "--quick")
    assert status == 1
    assert "ours cannot be: {}" in output


def test_each_part_has_a_check_of_what_it_found() -> None:
    assert plausible.CHECKS.keys() == PARTS.keys()


@pytest.mark.parametrize(
    ("name", "details", "is_plausible"),
    [
        ("memory", Memory(1, 1, {1: 80.0, 2: 90.0}, {1: 90.0, 2: 99.0}), True),
        ("memory", Memory(1, 1, {1: 80.0, 2: 90.0}, {1: 90.0, 2: 90.0}), False),
        ("growth", Growth((1,), 10, (Point(1, 80, 0.001, 0.002),), (Point(2, 50, 0.003, 0.004),)), True),
        ("growth", Growth((1,), 10, (Point(1, 80, 0.001, 0.002),), (Point(2, 50, 0.003, 0),)), False),
        ("log", LineCost(*(dict.fromkeys(LINES, 1.0),) * 2, more=dict.fromkeys(LINES, -0.1)), True),
        ("log", LineCost({}, {}, {}), False),
        ("tasks", {"bare": [{"send": 0.1, "run": 0.2}]}, True),
        ("tasks", {"bare": [{"send": 0.1, "run": 0.0}]}, False),
    ],
)
def test_a_measurement_may_show_anything_that_can_be(name: str, details: object, is_plausible: bool) -> None:
    assert bool(plausible.implausible({name: Found(details)})) is not is_plausible


def test_an_unknown_part_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    status, output = run(monkeypatch, FAST, "others")
    assert status == 2
    assert "ours" in output


def test_parts_that_are_named_make_no_report(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    run(monkeypatch, FAST, "ours", "--folder", str(tmp_path / "report"))
    assert not list(tmp_path.iterdir())


def test_the_plots_have_every_figure_and_every_number_of_plugins(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="it is in the extra 'bench'")
    from bench.plot import plot_goals, plot_growth

    plot_goals([Row("many", "few", (SLOW, LIGHT))], tmp_path / "goals.svg")
    plot_growth(
        Growth((1, 1000), 10, (Point(1, 80, 0.001, 0.002),) * 2, (Point(2, 50, 0.003, 0.004),) * 2),
        tmp_path / "growth.svg",
    )
    goals, growth = (tmp_path / "goals.svg").read_text(), (tmp_path / "growth.svg").read_text()
    assert "many: time" in goals
    assert "many: memory" in goals
    assert growth.count("1,000") == 4
