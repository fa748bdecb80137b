"""What is private in FastAPI and used here, and for which of its versions; a module for each part of it."""
