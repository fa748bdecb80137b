"""What becomes of the tasks, told to the members of the group `task_observers`."""
