"""The built-in plugins: they use what every plugin may use, no more."""
