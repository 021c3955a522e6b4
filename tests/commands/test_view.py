"""``cray view``: the address that it prints, who may ask there, and how it ends."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from contextlib import contextmanager

import pytest
from commandline import cray

from crayoncodec.commands import cray as command

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")


@contextmanager
def running(*arguments):
    """The command in a process of its own, and the address that it prints."""
    command = [sys.executable, "-m", "crayoncodec", "view", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process, process.stdout.readline().strip()
        finally:
            process.kill()


def status(address, **headers):
    try:
        request = urllib.request.Request(address, headers=headers)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        error.close()
        return error.code


@pytest.mark.skipif(os.name == "nt", reason="Ctrl-C is another thing there")
def test_it_serves_until_ctrl_c(folder):
    with running("--no-browser") as (process, address):
        assert address.startswith("http://127.0.0.1:")
        assert status(f"{address}api/thumbnails/0/photo.cray") == 200
        assert status(address.rsplit("/", 2)[0] + "/") == 404
        assert status(address, Host="evil.example") == 403
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=30)
    assert (process.returncode, told) == (130, "cray: interrupted\n")


def test_a_port_may_be_chosen_and_only_this_machine_is_listened_to(folder):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        told = cray("view", "--no-browser", "--port", port, code=1).stderr
        assert told == f"cray: port {port}: Address already in use\n"
    with running("--no-browser", "--port", str(port), "photo.png") as (_, address):
        assert address.startswith(f"http://127.0.0.1:{port}/")
        assert status(f"{address}api/thumbnails/0/photo.png") == 200
        assert status(f"{address}api/thumbnails/0/photo.cray") == 404


@pytest.mark.skipif(os.name == "nt", reason="Ctrl-C is another thing there")
def test_a_port_can_be_had_again_at_once(folder):
    with running("--no-browser") as (process, address):
        port = address.split("/")[2].rpartition(":")[2]
        assert status(address) == 200
        process.send_signal(signal.SIGINT)
        process.wait(timeout=30)
    with running("--no-browser", "--port", port) as (_, address):
        assert status(address) == 200


def test_tokens_are_long_and_never_the_same(folder, monkeypatch):
    from crayoncodec.view import server

    monkeypatch.setattr(server.uvicorn.Server, "run", lambda self, sockets: None)
    opened = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    monkeypatch.setattr(threading.Thread, "start", threading.Thread.run)
    tokens = {cray("view", "--no-browser").stdout.strip().split("/")[3] for _ in range(3)}
    assert len(tokens) == 3
    assert min(map(len, tokens)) >= 32
    assert opened == []
    address = cray("view").stdout.strip()
    assert opened == [address]


def test_what_cannot_be_shown_is_a_line(folder):
    (folder / "notes.txt").write_text("no picture")
    assert cray("view", "absent", code=1).stderr == "cray: absent: No such file or directory\n"
    assert "notes.txt: extension '.txt' is no format that is read" in cray("view", "notes.txt", code=3).stderr


def test_without_the_extra_a_line_names_it(folder, monkeypatch):
    for name in [each for each in sys.modules if each.startswith("crayoncodec.view.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    told = cray("view", code=2).stderr
    assert told == "cray: uvicorn is not installed, expected pip install crayoncodec[view]\n"
    assert command._EXTRAS["starlette"] == "view"
