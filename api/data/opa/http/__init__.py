"""The FastAPI application of the plugins, and what stands around it."""
