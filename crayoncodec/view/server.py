"""The server behind ``cray view``: its addresses, and how it runs."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from crayoncodec.errors import CrayError, LimitError, one_line
from crayoncodec.machine.process import data_folder
from crayoncodec.view.answers import Answers
from crayoncodec.view.entrance import Entrance
from crayoncodec.view.given import NotShownError, Pictures

HOST: Final = "127.0.0.1"
_HTTP: Final = 80
_PAGES: Final = {
    "web": ("*.js", "*.css", "index.html", "kernels.wasm", "view/*", "vendor/*/*.js", "vendor/*/codec/dec/*"),
    "models": ("*.safetensors",),
}
"""What of the package's data is handed out, by folder."""
_ZSTD: Final = "web/vendor/fzstd/index.mjs"
"""Comes from npm elsewhere; here the server does what it does."""
_TYPES: Final = {
    ".css": "text/css", ".html": "text/html", ".js": "text/javascript", ".mjs": "text/javascript",
    ".wasm": "application/wasm",
}  # fmt: skip


def pages() -> dict[str, Path]:
    """All files that pages may load, by address. Nothing else of these folders can be asked for."""
    found = {
        f"{name}/{path.relative_to(folder).as_posix()}": path
        for name, patterns in _PAGES.items()
        for folder in [data_folder(name)]
        for pattern in patterns
        for path in folder.glob(pattern)
    }
    del found["web/offline.js"]  # there is no page without this server
    return found | {_ZSTD: data_folder("web") / "view" / "zstd.js"}


def application(pictures: Pictures, host: str, token: str) -> ASGIApp:
    """What answers for these pictures at ``http://host/token/``."""
    answers = Answers(pictures)
    found = pages()

    async def page(request: Request) -> Response:
        path = found.get(request.scope["path"].removeprefix("/"))
        if path is None:
            return PlainTextResponse("Not found.", 404)
        return FileResponse(path, media_type=_TYPES.get(path.suffix, "application/octet-stream"))

    async def start(request: Request) -> Response:
        return RedirectResponse("web/view/gallery.html")

    @asynccontextmanager
    async def life(app: Starlette) -> AsyncIterator[None]:
        yield
        answers.close()

    routes = [
        Route("/", start),
        Route("/api/files", answers.files),
        Route("/api/files/{address:path}", answers.file),
        Route("/api/thumbnails/{address:path}", answers.thumbnail),
        Route("/api/uploads", answers.upload, methods=["POST"]),
        Route("/api/comparison/{address:path}", answers.comparison),
        Route("/api/zstd", answers.unpacked, methods=["POST"]),
        Route("/api/pixels/{key}", answers.pixels),
        Route("/api/estimate/{number}", answers.estimate),
        Route("/{path:path}", page),
    ]
    app = Starlette(
        routes=routes,
        lifespan=life,
        exception_handlers={
            NotShownError: _missing,
            LimitError: _large,
            CrayError: _wrong,
            OSError: _wrong,
            MemoryError: _wrong,
        },
    )
    return Entrance(app, host, token)


def listening(port: int) -> socket.socket:
    """A socket of this machine alone; port 0 for one that is free. Raises OSError."""
    found = socket.socket()
    try:
        if os.name == "posix":  # elsewhere it means another thing; here a port can be had again at once
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind((HOST, port))
        found.listen(128)
    except OSError:
        found.close()
        raise
    return found


def run(pictures: Pictures, port: int, ready: Callable[[str], None]) -> None:
    """Serve until Ctrl-C, which is raised; ``ready`` gets the address once it answers there.

    Raises OSError for a port that cannot be had.
    """
    with listening(port) as found:
        bound = found.getsockname()[1]
        host = HOST if bound == _HTTP else f"{HOST}:{bound}"  # as browsers say it
        token = secrets.token_urlsafe(24)
        config = uvicorn.Config(
            application(pictures, host, token), log_config=None, access_log=False, ws="none",
            proxy_headers=False, server_header=False, timeout_graceful_shutdown=1,
        )  # fmt: skip
        ready(f"http://{host}/{token}/")
        logging.getLogger("uvicorn.error").addFilter(_is_told)
        uvicorn.Server(config).run(sockets=[found])


def _is_told(record: logging.LogRecord) -> bool:
    """Errors are; that the end of the server was the end of what it was doing is not."""
    kind = (record.exc_info or (None,))[0]
    return kind is not None and not issubclass(kind, asyncio.CancelledError)


async def _missing(request: Request, error: Exception) -> Response:
    return JSONResponse({"error": one_line(error)}, 404)


async def _large(request: Request, error: Exception) -> Response:
    return JSONResponse({"error": one_line(error)}, 413)


async def _wrong(request: Request, error: Exception) -> Response:
    return JSONResponse({"error": one_line(error)}, 422)
