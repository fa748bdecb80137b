"""Something for other plugins to import: every plugin path is on `sys.path`."""


def double(number: int) -> int:
    """Twice the number."""
    return number * 2
