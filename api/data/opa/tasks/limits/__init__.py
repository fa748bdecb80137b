"""Limits on tasks: which run once at a time, how many run at once, how often they start; across all workers."""
