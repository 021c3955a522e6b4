"""Only pictures of what was given are shown, whatever is asked for."""

from __future__ import annotations

import asyncio
import os
from urllib.parse import unquote

import pytest
from commandline import PHOTO
from PIL import Image

from crayoncodec.view.given import Given, NotShownError, Pictures


@pytest.fixture
def tree(tmp_path):
    """A folder to be given, shown/, and secrets beside it."""
    shown = tmp_path / "shown"
    (shown / "below").mkdir(parents=True)
    for name in ("shown/one.png", "shown/below/two ü.JPG", "shown/below/100%.cray", "secret.png"):
        Image.fromarray(PHOTO).save(tmp_path / name, "PNG")
    (shown / "notes.txt").write_text("private")
    (shown / ".env").write_text("private")
    (shown / "._one.png").write_text("of macOS")
    return tmp_path


def given(*paths):
    return Pictures([Given.named(str(path)) for path in paths])


def test_all_pictures_are_listed_and_found(tree):
    found = given(tree / "shown")
    files = {file["name"]: file for file in found.files()}
    assert [*files] == ["below/100%.cray", "below/two ü.JPG", "one.png"]
    for name, file in files.items():
        assert found.find(file["address"]) == tree / "shown" / name
        assert file["size"] == (tree / "shown" / name).stat().st_size
        assert file["cray"] == name.endswith(".cray")
    assert files["below/two ü.JPG"]["address"] == "0/below/two%20%C3%BC.JPG"


@pytest.mark.skipif(os.name == "nt", reason="no file has such a name there")
@pytest.mark.parametrize(
    "name", [b"12:30:00.png", b"back\\slash.png", b"new\nline.png", b"2024: trip/a.png", b"\xff/a.png"]
)
def test_whatever_a_file_is_called_it_is_shown(name, tmp_path, asking):
    path = tmp_path / os.fsdecode(name)
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(PHOTO).save(path)
    for place in (tmp_path, path.parent, path):
        client = asking(place)
        (file,) = client.get("api/files").json()["files"]
        assert client.get(f"api/files/{file['address']}").content == path.read_bytes()
        assert client.get(f"api/thumbnails/{file['address']}").status_code == 200


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are none")
def test_what_is_no_file_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(NotShownError, match="neither a folder nor a file"):
        Given.named(str(tmp_path / "pipe.png"))


def test_a_file_that_cannot_be_read_is_an_error(asking, tmp_path, monkeypatch):
    Image.fromarray(PHOTO).save(tmp_path / "one.png")

    def refused(path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.read_bytes", refused)
    client = asking(tmp_path)
    for kind in ("files", "thumbnails"):
        answer = client.get(f"api/{kind}/0/one.png")
        assert (answer.status_code, answer.json()) == (422, {"error": "Permission denied"})


def status(client, rest):
    """What a request gets whose path is as it is written here."""
    raw, sent = f"{client.base_url.path}{rest}", []
    scope = {
        "type": "http", "method": "GET", "path": unquote(raw), "raw_path": raw.encode(), "query_string": b"",
        "headers": [(b"host", b"127.0.0.1:8123")], "http_version": "1.1", "scheme": "http",
    }  # fmt: skip

    async def receive():
        return {"type": "http.disconnect"}

    async def send(message):
        sent.append(message)

    asyncio.run(client.app(scope, receive, send))
    return sent[0]["status"]


@pytest.mark.parametrize(
    "address",
    [
        "0/../secret.png", "0/..%2fsecret.png", "0/%2e%2e/secret.png", "0/below/../../secret.png",
        "0/below/../one.png", "0/./one.png", "0//one.png", "0/below//two%20%C3%BC.JPG",
        "0/{folder}/secret.png", "0/%2f{folder}/secret.png", "0/..%5csecret.png", "0/C:%5csecret.png",
        "0/c:/secret.png", "0/one.png%00", "0/one.png%00.txt", "0/notes.txt", "0/.env", "0/below", "0/", "0",
        "/", "1/one.png", "-1/one.png", "x/one.png", "²/one.png", "0/absent.png", "0/one.png/",
        "00000000000000000000001/one.png",
    ],
)  # fmt: skip
def test_other_addresses_lead_nowhere(address, tree, asking):
    """Nor do they in requests of programs that do not follow the rules of URLs."""
    address = address.replace("{folder}", str(tree))
    with pytest.raises(NotShownError, match="not one of the pictures that are shown"):
        given(tree / "shown").find(address)
    client = asking(tree / "shown")
    for kind in ("files", "thumbnails", "comparison"):
        assert status(client, f"api/{kind}/{address}") == 404


def test_pages_have_no_way_out(asking, tree):
    client = asking(tree / "shown")
    assert status(client, "api/files/0/one.png") == 200
    for path in (
        "web/../setup.py",
        "web/%2e%2e/setup.py",
        "web//page.js",
        "../web/page.js",
        "models/..%2fsetup.py",
    ):
        assert status(client, path) == 404


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_links_that_leave_are_refused_and_others_followed(tree):
    shown = tree / "shown"
    (shown / "out.png").symlink_to(tree / "secret.png")
    (shown / "outside").symlink_to(tree)
    (shown / "inside.png").symlink_to("one.png")
    (shown / "round.png").symlink_to("round.png")
    found = given(shown)
    assert [file["name"] for file in found.files()] == [
        "below/100%.cray",
        "below/two ü.JPG",
        "inside.png",
        "one.png",
    ]
    assert found.find("0/inside.png").read_bytes() == (shown / "one.png").read_bytes()
    for address in (
        "0/out.png",
        "0/outside/secret.png",
        "0/outside/shown/one.png/../../../secret.png",
        "0/round.png",
    ):
        with pytest.raises(NotShownError):
            found.find(address)
    (tree / "link").symlink_to(shown)
    assert given(tree / "link").find("0/one.png").exists()
    assert given(shown / "out.png").find("0/out.png").exists(), "it was given by name"


def test_a_single_file_is_all_that_is_shown(tree):
    found = given(tree / "shown" / "one.png", tree / "shown" / "below")
    assert [file["address"] for file in found.files()] == ["0/one.png", "1/100%25.cray", "1/two%20%C3%BC.JPG"]
    for address in ("0/two.png", "0/below/100%25.cray", "1/one.png", "0/one.png/one.png"):
        with pytest.raises(NotShownError):
            found.find(address)


def test_what_is_not_there_or_no_picture_is_refused(tree):
    with pytest.raises(NotShownError, match=r"extension '\.txt' is no format that is read"):
        Given.named(str(tree / "shown" / "notes.txt"))
    with pytest.raises(FileNotFoundError):
        Given.named(str(tree / "absent"))


def test_folders_that_are_closed_are_told(tree, close_folders):
    close_folders("below")
    found = given(tree / "shown").files()
    assert {"name": "below/", "error": "Permission denied"} in found
    assert len(found) == 2


@pytest.mark.skipif(os.name == "nt", reason="names are Unicode there")
def test_names_that_are_not_utf8_are_shown(tree):
    name = os.fsdecode(b"\xff.png")
    Image.fromarray(PHOTO).save(tree / "shown" / name)
    found = given(tree / "shown")
    (file,) = (file for file in found.files() if file["name"] == "\ufffd.png")
    assert file["address"] == "0/%FF.png"
    assert found.find(file["address"]).exists()
