"""Background tasks on Celery: the application that they belong to, what a task can do, and how a worker runs them."""
