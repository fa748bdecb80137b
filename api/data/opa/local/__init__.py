"""`opa up`: everything on one machine, without Docker."""
