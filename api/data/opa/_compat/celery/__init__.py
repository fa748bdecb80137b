"""What is private in Celery and used here; a module for each part of it, so that none loads what it does not use."""
