"""The Python packages that plugins need: resolved into a lock, installed, and looked for."""
