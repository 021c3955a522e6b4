"""Who is answered: the pages of this server, in the browser that was given its address, and nobody else."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY: Final = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; connect-src 'self'; "
    "worker-src 'self'; img-src 'self' blob: data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
_ALWAYS: Final = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_OWN_SITES: Final = ("same-origin", "none")
"""Of Sec-Fetch-Site: the server's own pages, and an address that a person typed or a program opened."""


class Entrance:
    """In front of an application, whose paths begin behind the token.

    What is not for this host (as after DNS rebinding) or comes from another origin's pages gets 403, what has
    not the token 404. Every answer says what its page may do.
    """

    def __init__(self, inside: ASGIApp, host: str, token: str) -> None:
        """``host`` with its port, as browsers say it."""
        self._inside = inside
        self._host = host
        self._token = token.encode("ascii")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI has it; other protocols than HTTP are not spoken."""
        if scope["type"] == "lifespan":
            await self._inside(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return

        async def told(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_ALWAYS)
            await send(message)

        if not self._is_own(Headers(scope=scope)):
            await PlainTextResponse("Not for other hosts and origins.", 403)(scope, receive, told)
            return
        _, _, rest = scope["raw_path"].partition(b"/")
        token, slash, rest = rest.partition(b"/")
        if not (secrets.compare_digest(token, self._token) and slash):
            await PlainTextResponse("Not found.", 404)(scope, receive, told)
            return
        path = "/" + rest.decode("ascii", "replace")  # still quoted: names may have any byte
        await self._inside({**scope, "path": path, "raw_path": b"/" + rest}, receive, told)

    def _is_own(self, headers: Headers) -> bool:
        return (
            headers.getlist("host") == [self._host]
            and _are(headers.getlist("origin"), [f"http://{self._host}"])
            and _are(headers.getlist("sec-fetch-site"), _OWN_SITES)
        )


def _are(values: list[str], allowed: Iterable[str]) -> bool:
    return {*values} <= {*allowed}
