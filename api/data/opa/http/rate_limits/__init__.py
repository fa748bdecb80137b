"""How often a caller may ask: limits of routes, of plugins and of paths."""
