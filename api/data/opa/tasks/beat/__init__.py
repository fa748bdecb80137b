"""The schedule: what is due, which beat sends it, and what was sent."""
