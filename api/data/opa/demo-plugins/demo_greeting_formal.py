"""Fills the hook of demo_greeting.py. Filter this plugin out by its tag, and the default greets again."""

from opa import Hook


class FormalGreeting(Hook):
    """Order 0, so it wins over the default."""

    name = "demo_greeting"

    def run(self, name: str) -> str:
        """Greet formally."""
        return f"Good day, {name}"
