from tests.tasks.conftest import tasks

__all__ = ["tasks"]
