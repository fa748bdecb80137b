"""Events that are posted to others."""
