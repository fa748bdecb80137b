"""The plugin: an event with two handlers, and a task that is given the same."""

from pydantic import BaseModel

from opa import Event, on, task


class Order(BaseModel):
    """What a shop says of an order."""

    number: int
    customer: str
    items: list[str]
    total: float


@task
async def bill(order: Order) -> None:
    """Nothing."""


@task
async def count(order: dict) -> None:  # type: ignore[type-arg]  # as a user writes it
    """Nothing."""


@on("orders.created")
async def greet(order: Order) -> None:
    """Nothing."""


@on("orders.*")
async def note(payload: dict, event: Event) -> None:  # type: ignore[type-arg]  # as above
    """Nothing."""
