"""Who is answered, and what every answer says."""

from __future__ import annotations

import re

import pytest

from crayoncodec.view import entrance

HOST = "127.0.0.1:8123"
OWN = f"http://{HOST}"


@pytest.mark.parametrize(
    "host", ["localhost:8123", "evil.example", "evil.example:8123", "127.0.0.1", "127.0.0.1:80", ""]
)
def test_other_hosts_are_refused(host, client):
    """After DNS rebinding the browser says the name that it knows."""
    assert client.get("api/files", headers={"host": host}).status_code == 403


@pytest.mark.parametrize(
    ("name", "value", "status"),
    [("origin", "https://evil.example", 403), ("origin", "null", 403), ("origin", OWN, 200),
     ("origin", "http://127.0.0.1:8124", 403), ("origin", f"https://{HOST}", 403),
     ("sec-fetch-site", "cross-site", 403), ("sec-fetch-site", "same-site", 403),
     ("sec-fetch-site", "same-origin", 200), ("sec-fetch-site", "none", 200)],
)  # fmt: skip
def test_pages_of_others_are_refused(name, value, status, client):
    assert client.get("api/files", headers={name: value}).status_code == status


@pytest.mark.parametrize(
    "path",
    ["", "api/files", "token-of-this-tes/api/files", "token-of-this-testx/", "Token-of-this-test/api/files",
     "token-of-this-test", "web/page.js", "%ff/api/files"],
)  # fmt: skip
def test_nobody_without_the_token(path, client):
    answer = client.get(f"{OWN}/{path}")
    assert (answer.status_code, answer.text) == (404, "Not found.")


def test_the_token_is_compared_in_constant_time(client, monkeypatch):
    compared = []

    def compare(first, second):
        compared.append((first, second))
        return first == second

    monkeypatch.setattr(entrance.secrets, "compare_digest", compare)
    assert client.get(f"{OWN}/guess/api/files").status_code == 404
    assert compared == [(b"guess", b"token-of-this-test")]


def test_nothing_is_changed_by_other_methods(client):
    for method in ("POST", "PUT", "DELETE", "OPTIONS"):
        answer = client.request(method, "api/files", headers={"origin": OWN})
        assert answer.status_code == 405
        assert not any(name.startswith("access-control") for name in answer.headers)


@pytest.mark.parametrize(
    "path",
    ["", "web/index.html", "api/files", "api/files/0/photo.cray", "api/thumbnails/0/damaged.cray", "no"],
)
def test_every_answer_says_what_its_page_may_do(path, client):
    headers = client.get(path).headers
    assert headers["content-security-policy"].startswith(
        "default-src 'none'; script-src 'self' 'wasm-unsafe-eval';"
    )
    assert "unsafe-inline" not in headers["content-security-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert headers["cache-control"] == "no-store"
    assert not any(name.startswith("access-control") for name in headers)


def test_refusals_say_it_too(client):
    headers = client.get("api/files", headers={"host": "evil.example"}).headers
    assert headers["x-content-type-options"] == "nosniff"


def test_websockets_are_refused(client):
    from starlette.websockets import WebSocketDisconnect

    with pytest.raises(WebSocketDisconnect), client.websocket_connect("api/files"):
        pass


def test_pages_are_handed_out_and_what_is_beside_them_is_not(client):
    start = client.get("")
    assert (start.status_code, start.headers["location"]) == (307, "web/view/gallery.html")
    page = client.get("web/view/gallery.html")
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    wasm = client.get("web/kernels.wasm")
    assert (wasm.headers["content-type"], wasm.content[:4]) == ("application/wasm", b"\0asm")
    for name in (
        "models/predictor-4.safetensors",
        "models/refiner-1.safetensors",
        "web/vendor/fzstd/index.mjs",
    ):
        assert client.get(name).status_code == 200
    for name in (
        "web/package.json",
        "web/offline.js",
        "web/test/make_cases.py",
        "web/build.sh",
        "setup.py",
        "models/nested.json",
        "web",
    ):
        assert client.get(name).status_code == 404


def test_what_pages_load_is_there(client):
    """Their scripts, styles and links, and what those import."""
    seen, left = set(), ["web/index.html", "web/view/gallery.html", "web/view/comparing.html"]
    while left:
        path = left.pop()
        answer = client.get(path)
        assert answer.status_code == 200, path
        seen.add(path)
        found = re.findall(r'(?:src|href)="([^":]+)"|(?:from|import)\s*\(?"(\.[^"]+)"', answer.text)
        for name in filter(None, (part for pair in found for part in pair)):
            joined = (client.base_url.join(path)).join(name).path.split("/", 2)[2]
            if joined not in seen and not joined.endswith(".d.ts") and "vendor/" not in joined:
                left.append(joined)
    assert {"web/view/view.css", "web/page.css", "web/theme.js", "web/viewing.js", "web/view/wipe.js"} < seen
