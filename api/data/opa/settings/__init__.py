"""Settings: their sources, how they are merged and validated, and the `Config` that results."""
