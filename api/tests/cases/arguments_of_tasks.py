"""The kind: a value changes on its way, or is refused where it arrives, and its sender is not told."""

from __future__ import annotations

from tests.cases.place import Place, case
from tests.cases.tasks_of_any_make import WITHOUT_SERVER


@case("P5", "What is sent to a task arrives as it is, or is refused with the name of the argument")
def what_arrives_is_what_was_sent(place: Place) -> None:
    place.plugin(
        "a.py",
        """
        from enum import Enum
        from pydantic import BaseModel
        from opa import task

        class Color(Enum):
            RED = "red"

        class Item(BaseModel):
            colors: set[Color]

        @task
        def paint(item: Item, colors: set[Color], size):
            return repr((item, colors, size))

        item = Item(colors={Color.RED})
        size = (1, {2: {"__type__": "uuid", "__value__": None}})
        """,
    )
    sent = (
        "import a; print(a.paint.delay(a.item, {a.Color.RED}, a.size).get() == repr((a.item, {a.Color.RED}, a.size)))"
    )
    seen = place.run("shell", "-c", sent, **WITHOUT_SERVER)
    assert seen.stdout.endswith("True\n"), seen.stdout + seen.stderr
    refused = place.run("shell", "-c", "import a; a.paint.delay(a.item, set(), size={1})", **WITHOUT_SERVER)
    assert "task 'a.paint' is sent with argument 'size' (set) that is not JSON" in refused.stderr
