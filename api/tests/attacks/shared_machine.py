"""An `opa up` of root on a machine with other users: what `nobody` reads of it, reaches of it, and can put in its way.

Needs root, and Linux.
"""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.attacks.place import Report, folder
from tests.local.up import Up, descendants, up_in
from tests.project import NOBODY

SAID = (
    b"PING\r\nKEYS *\r\nCONFIG GET *\r\nINFO\r\n",
    b"GET /readyz HTTP/1.0\r\n\r\n",
    b'Content-Length: 59\r\n\r\n{"seq":1,"type":"request","command":"initialize","arguments":{}}',
)


def main() -> None:
    """Attack it, and say what was found."""
    report = Report()
    with folder() as place:
        place.chmod(0o755)
        with up_in(place / "project") as up:
            up.folder.chmod(0o755)
            (up.folder / "settings").mkdir()
            (up.folder / "settings" / "own.yaml").write_text("default: {API_TOKEN: planted-5f2e}\n")
            up.environ["OPA_OWN_SECRET"] = "planted-77aa"
            up.start()
            up.wait_until_ready()
            time.sleep(5)
            look_at_processes(report, up)
            look_at_ports(report, up)
            look_at_files(report, up)
        plant(report, place)
    report.exit()


def as_nobody(*command: str) -> str:
    """What a command prints that `nobody` runs."""
    done = subprocess.run(
        command, user=NOBODY, group=NOBODY, extra_groups=[], cwd="/", capture_output=True, check=False, timeout=60
    )
    return (done.stdout + done.stderr).decode(errors="replace")


def answers_of(port: int) -> str:
    """What a port answers to several protocols; whoever asks on loopback, the kernel tells nobody who it is."""
    answers = []
    for said in SAID:
        with socket.create_connection(("127.0.0.1", port), 3) as connection:
            connection.settimeout(2)
            connection.sendall(said)
            try:
                answers.append(repr(connection.recv(65536)[:300]))
            except OSError as error:
                answers.append(type(error).__name__)
    return "\n".join(answers)


def look_at_processes(report: Report, up: Up) -> None:
    """Whether other users read a secret in /proc."""
    secrets = {*up.passwords(), "planted-77aa", "planted-5f2e"}
    for pid in {up.pid, *descendants(up.pid)}:
        seen = as_nobody("cat", *(f"/proc/{pid}/{name}" for name in ("cmdline", "comm", "status", "environ", "maps")))
        report.expect(not any(secret in seen for secret in secrets), f"process {pid} shows a secret")
        for name in ("environ", "fd", "cwd", "root", "mem"):
            seen = as_nobody(
                "ls" if name == "fd" else "readlink" if name in {"cwd", "root"} else "cat", f"/proc/{pid}/{name}"
            )
            report.expect("denied" in seen or not seen.strip(), f"process {pid} shows {name}: {seen[:100]}")


def listening(pids: set[int]) -> Iterator[tuple[str, str]]:
    """The addresses and ports on which processes listen, as the kernel writes them."""
    inodes = set()
    for pid in pids:
        for name in Path(f"/proc/{pid}/fd").glob("*"):
            try:
                inodes.add(str(name.readlink()).removeprefix("socket:[").removesuffix("]"))
            except OSError:
                continue
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and fields[9] in inodes:
                address, _, port = fields[1].rpartition(":")
                yield address, str(int(port, 16))
    for line in Path("/proc/net/unix").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[6] in inodes and len(fields) > 7:
            yield "unix", fields[7]


def look_at_ports(report: Report, up: Up) -> None:
    """Whether something listens that lets other users in."""
    for address, port in set(listening({up.pid, *descendants(up.pid)})):
        print("listens:", address, port)
        if address == "unix":
            report.expect(False, f"a socket {port}")
            continue
        report.expect(address == "0100007F", f"port {port} is open on {address}")
        said = answers_of(int(port))
        print(said)
        report.expect(not any(word in said for word in ("PONG", "redis_version", "debugpy")), f"port {port}: {said}")


def look_at_files(report: Report, up: Up) -> None:
    """Whether other users read or write what it has written."""
    hidden = up.folder / ".opa"
    report.expect("denied" in as_nobody("ls", str(hidden)), ".opa can be listed")
    # Its servers write further files inside of folders that nobody else reaches.
    for path in [hidden, *(path for path in hidden.iterdir() if path.is_file())]:
        report.expect(not path.lstat().st_mode & 0o077, f"{path} has the mode {path.lstat().st_mode:o}")
    for place in ("/tmp", "/dev/shm", "/var/tmp", "/run", str(up.folder)):
        for path in Path(place).glob("*"):
            try:
                found = path.lstat()
            except OSError:
                continue
            is_new = time.time() - found.st_mtime < 60
            is_open = bool(found.st_mode & 0o002) and not path.is_symlink() and not found.st_mode & 0o1000
            report.expect(not (is_new and is_open and found.st_uid == 0), f"{path} can be written to by everybody")


def of_nobody(path: Path) -> None:
    """A folder of another user."""
    path.mkdir()
    os.chown(path, NOBODY, NOBODY)


def opened(put: Callable[[Path], object]) -> Callable[[Path], None]:
    """A folder that every user could enter, in which an attacker has put something."""

    def make(path: Path) -> None:
        path.mkdir()
        path.chmod(0o777)
        put(path)

    return make


def plant(report: Report, place: Path) -> None:
    """What another user may have put in its way before it starts."""
    victim = place / "victim"
    victim.mkdir()
    (victim / "precious").write_text("precious")
    names: dict[str, Callable[[Path], object]] = {
        "a link": lambda path: path.symlink_to(victim),
        "a link that leads nowhere": lambda path: path.symlink_to(place / "not-there"),
        "a file": lambda path: path.write_text(""),
        "a pipe": os.mkfifo,
        "a folder of nobody's": of_nobody,
        "an open folder with a link": opened(lambda path: (path / "valkey.conf").symlink_to(victim / "precious")),
        "an open folder with a pipe": opened(lambda path: os.mkfifo(path / "lock")),
        "an open folder with a second name": opened(lambda path: os.link(victim / "precious", path / "lock")),
    }
    for name, put in names.items():
        with up_in(place / name.replace(" ", "-").replace("'", "")) as up:
            put(up.folder / ".opa")
            up.start()
            try:
                status = up.end()
            except subprocess.TimeoutExpired:
                status = 0
            report.expect(status == 1 and "Traceback" not in up.output, f"{name}: {status} {up.output[-500:]}")
        report.expect((victim / "precious").read_text() == "precious", f"{name}: a file elsewhere was written")


if __name__ == "__main__":
    main()
