"""The plugin: what bare_tasks.py does, in the stack."""

from opa import task


@task
def noop() -> None:
    """Nothing."""
