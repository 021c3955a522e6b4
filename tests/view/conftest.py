"""A server's application, asked without a network."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")
pytest.importorskip("httpx2")

from commandline import PHOTO
from PIL import Image
from starlette.testclient import TestClient

import crayoncodec
from crayoncodec.view.given import Given, Pictures

HOST, TOKEN = "127.0.0.1:8123", "token-of-this-test"


@pytest.fixture
def asking():
    """A function from paths to a client of what shows them; its addresses begin behind the token."""
    from crayoncodec.view.server import application

    def client(*paths):
        app = application(Pictures([Given.named(str(path)) for path in paths]), HOST, TOKEN)
        return running.enter_context(
            TestClient(app, base_url=f"http://{HOST}/{TOKEN}/", follow_redirects=False)
        )

    with ExitStack() as running:
        yield client


@pytest.fixture(scope="session")
def pictures(tmp_path_factory):
    """A folder with photo.png, photo.cray, damaged.cray and broken.jpg, which nobody changes."""
    folder = tmp_path_factory.mktemp("pictures")
    Image.fromarray(PHOTO).save(folder / "photo.png")
    data = crayoncodec.encode(PHOTO, effort=1)
    (folder / "photo.cray").write_bytes(data)
    (folder / "damaged.cray").write_bytes(data[:200] + bytes([data[200] ^ 1]) + data[201:])
    (folder / "broken.jpg").write_bytes(b"no picture")
    return folder


@pytest.fixture
def client(asking, pictures):
    """Of that folder."""
    return asking(pictures)
