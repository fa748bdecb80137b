"""Dead letters: tasks that were given up or refused."""
