"""A server in a container that a test can kill, and start again on the same port with the same data."""

from __future__ import annotations

from abc import ABC, abstractmethod

from tests.docker.engine import docker


class Container(ABC):
    """What all such servers have.

    Attributes:
        name: of the container.
    """

    name: str

    def start(self) -> None:
        docker("start", self.name)
        self.wait_until_ready()

    def stop(self) -> None:
        docker("stop", "--time", "3", self.name)

    def kill(self) -> None:
        docker("kill", self.name)

    def hang(self) -> None:
        """From now on it answers nobody, and refuses nobody either."""
        docker("pause", self.name)

    def go_on(self) -> None:
        docker("unpause", self.name)

    def remove(self) -> None:
        docker("rm", "--force", "--volumes", self.name, check=False)

    @abstractmethod
    def wait_until_ready(self) -> None:
        """Wait until it answers."""
