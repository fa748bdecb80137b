"""No path, link, encoding or name leads out of the folder of a plugin, or shows what is in it."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from tests.docs.serving import served
from tests.project import Project

SECRET = "nobody may read this"

UP = (
    "..",
    "%2e%2e",
    "%2E%2e",
    ".%2e",
    "%252e%252e",
    "..%00",
    "..%0a",
    "...",
    ".%20.",
    "..%20",
    "..%5c..",
    "%c0%ae%c0%ae",
)
WAYS = [
    # up, written in each way: to a file of the plugin, and to one of the system
    *(f"/static/shop/{up}/secret.txt" for up in UP),
    *(f"/static/shop/css/{up}/{up}/secret.txt" for up in UP[:5]),
    "/static/shop/..%2fsecret.txt",
    "/static/shop/..%252fsecret.txt",
    "/static/shop/..;/secret.txt",
    "/static/shop/..\\secret.txt",
    "/static/shop/..%5csecret.txt",
    "/static/shop/css\\app.css",
    "/static/shop/css%5Capp.css",
    "/static/shop/%uff0e%uff0e/secret.txt",
    "/static/shop/%ef%bc%8e%ef%bc%8e/secret.txt",
    "/static/shop/..%ef%bc%8fsecret.txt",
    "/static/shop/../../../../../../etc/passwd",
    "/static/shop/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
    "/static/../shop/secret.txt",
    "/static/shop/../other/hidden.txt",
    # what begins at the root, or is doubled
    "/static/shop//etc/passwd",
    "/static/shop/%2fetc%2fpasswd",
    "/static/shop/{outside}",
    "/static/shop/file:///etc/passwd",
    "/static/shop/C:/Windows/win.ini",
    "/static/shop/%5c%5chost%5cshare%5csecret.txt",
    "/static/shop//css/app.css",
    "/static/shop/css//app.css",
    "/static/shop/./css/app.css",
    "/static/shop/css/./app.css",
    "/static/shop/css/../css/app.css",
    # NUL, line feeds, and other ends
    "/static/shop/css/app.css%00",
    "/static/shop/css/app.css%00.txt",
    "/static/shop/%00",
    "/static/shop/css/app.css%0a",
    "/static/shop/css/app.css%0d",
    "/static/shop/css/app.css/",
    "/static/shop/css/app.css/.",
    "/static/shop/css/app.css.",
    "/static/shop/css/app.css%20",
    "/static/shop/css/app.css::$DATA",
    "/static/shop/css/app.css%ff",
    "/static/shop/" + "a" * 300,
    "/static/shop/" + "a/" * 3000 + "b",
    # folders, which have no listing, and index.html
    "/static/shop/",
    "/static/shop/css",
    "/static/shop/css/",
    "/static/shop/pages/",
    "/static/shop/.",
    "/static/shop/..",
    "/static/",
    # links
    "/static/shop/link-to-secret.txt",
    "/static/shop/link-to-folder/secret.txt",
    "/static/shop/link-to-root/etc/passwd",
    "/static/shop/link-to-hidden.txt",
    "/static/shop/link-to-nowhere.txt",
    "/static/shop/link-in-a-circle.txt",
    # case
    "/static/SHOP/css/app.css",
    "/STATIC/shop/css/app.css",
    "/static/shop/CSS/APP.CSS",
    # devices, and what is no file
    "/static/shop/con",
    "/static/shop/NUL.txt",
    "/static/shop/aux.css",
    "/static/shop/com1.css",
    "/static/shop/LPT%c2%b9.css",
    "/static/shop/pipe.txt",
    # what was never meant to be served
    "/static/shop/.env",
    "/static/shop/prod.env",
    "/static/shop/.git/config",
    "/static/shop/code.py",
    "/static/shop/CODE.PY",
    "/static/shop/__pycache__/code.pyc",
    "/static/shop/app.css~",
    "/static/shop/%23app.css%23",
    "/static/shop/app.css.bak",
    "/static/shop/.app.css.swp",
    # plugins that have none, or are none
    "/static/other/hidden.txt",
    "/static/static_files/__init__.py",
    "/static/nothing/app.css",
]


def write_shop(project: Project) -> Path:
    """A plugin with a folder in which there is each kind of trap; gives what lies outside of it."""
    outside = project.plugin("secret.txt", SECRET, folder="outside")
    project.plugin("shop/__init__.py")
    project.plugin("shop/secret.txt", SECRET)
    project.plugin("other/__init__.py")
    project.plugin("other/hidden.txt", SECRET)
    static = project.plugin("shop/static/css/app.css", "good").parents[1]
    project.plugin("shop/static/pages/index.html", SECRET)
    hidden = (".env", "prod.env", ".git/config", "code.py", "CODE.PY", "__pycache__/code.pyc")
    editors = ("app.css~", "#app.css#", "app.css.bak", ".app.css.swp")
    devices = ("con", "NUL.txt", "aux.css", "com1.css", "LPT¹.css")
    odd = ("app.css.", "app.css ", "css\\app.css", "..\\secret.txt", "..%2fsecret.txt", "...", "．．", "..;")
    for name in (*hidden, *editors, *devices, *odd):
        project.plugin(f"shop/static/{name}", SECRET)
    for name, target in {
        "link-to-secret.txt": outside,
        "link-to-folder": outside.parent,
        "link-to-root": Path("/"),
        "link-to-hidden.txt": static / ".env",
        "link-to-nowhere.txt": static / "nowhere",
        "link-in-a-circle.txt": static / "link-in-a-circle.txt",
    }.items():
        (static / name).symlink_to(target)
    os.mkfifo(static / "pipe.txt")
    project.settings(STATIC=True)
    return outside


def status_of(target: str, address: tuple[str, int]) -> tuple[int, bytes]:
    """What a server answers to a path that is sent as it is written."""
    with socket.create_connection(address, timeout=20) as connection:
        connection.sendall(f"GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    return int(answer.split(b" ", 2)[1]), answer


def test_each_way_out_of_the_folder_is_answered_404(project: Project) -> None:
    outside = write_shop(project)
    assert len(set(WAYS)) == len(WAYS) >= 60
    with served(project.app()) as client:
        address = str(client.base_url.host), int(client.base_url.port or 0)
        answers = {way: status_of(way.replace("{outside}", str(outside)), address) for way in WAYS}
        assert {way: status for way, (status, _) in answers.items() if status != 404} == {}
        assert [way for way, (_, answer) in answers.items() if SECRET.encode() in answer or b"root:" in answer] == []
        # They are not refused because nothing is served at all.
        assert status_of("/static/shop/css/app.css", address)[0] == 200
        assert status_of("/static/shop/pages/index.html", address)[0] == 200
