"""How a worker runs tasks: its loop, its pools, its limits, and how it stops."""
