"""The log: its lines and tracebacks, and the standard library's logging, which it intercepts."""
