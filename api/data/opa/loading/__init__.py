"""Which plugins there are, which of them are loaded and in which order, and their import."""
