"""Facts and duties of any process: CPUs, sockets, the health file, orphans, and how a failed start is told."""
