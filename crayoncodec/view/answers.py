"""What is answered about pictures: thumbnails, comparisons, estimates. A few threads do the work."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import shlex
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from crayoncodec import codec
from crayoncodec.encoding.parameters import DEFAULT_EFFORT, DEFAULT_QUALITY
from crayoncodec.errors import CrayError, LimitError, give_way, one_line
from crayoncodec.files import images
from crayoncodec.format import residuals
from crayoncodec.view import comparison, gallery
from crayoncodec.view.comparison import Coded, Work
from crayoncodec.view.given import NotShownError, Pictures, readable
from crayoncodec.view.kept import Kept

U8 = NDArray[np.uint8]
Result = TypeVar("Result")
Line = dict[str, Any]

UPLOADED: Final = 2**28
"""Bytes of what was dropped on the page, all together; of one file half as many."""
_THUMBNAILS: Final = 2**26
_WORKS: Final = 2**28
_PIXELS: Final = 2**29
_FILES: Final = 2**26
_UPLOAD: Final = "upload"
_SAMPLES: Final = 20
"""Pictures of a folder that are encoded for an estimate, at most."""


@dataclass(frozen=True)
class Asked:
    """How pictures are to be coded, in a query."""

    quality: int
    effort: int

    @classmethod
    def of(cls, request: Request) -> Asked:
        """Raises CrayError."""
        return cls(
            _number(request, "quality", DEFAULT_QUALITY, 0, 100),
            _number(request, "effort", DEFAULT_EFFORT, 1, 9),
        )


class Answers:
    """To requests, for some pictures."""

    def __init__(self, pictures: Pictures) -> None:
        """Nothing is read yet."""
        self._pictures = pictures
        self._thumbnails = Kept[bytes](_THUMBNAILS, len)
        self._uploads = Kept[bytes](UPLOADED, len)
        self._works = Kept[Work](_WORKS, lambda work: work.rgb.nbytes)
        self._pixels = Kept[U8](_PIXELS, lambda pixels: pixels.nbytes)
        self._coded = Kept[bytes](_FILES, len)
        self._numbers = itertools.count(1)
        workers = min(4, os.cpu_count() or 1)
        self._quick = ThreadPoolExecutor(workers, "thumbnails")
        self._turns = asyncio.Semaphore(workers)
        self._slow = ThreadPoolExecutor(2, "comparison")

    def close(self) -> None:
        """What has not begun is not done any more."""
        for pool in (self._quick, self._slow):
            pool.shutdown(wait=False, cancel_futures=True)

    async def files(self, request: Request) -> Response:
        """All pictures, and the folders they are in."""
        found = await _in(self._quick, self._pictures.files)
        return JSONResponse(
            {"files": found, "given": [readable(str(each.path)) for each in self._pictures.given]}
        )

    async def file(self, request: Request) -> Response:
        """A picture's file as it is."""
        path = self._pictures.find(_address(request))
        return Response(await _in(self._quick, path.read_bytes), media_type="application/octet-stream")

    async def thumbnail(self, request: Request) -> Response:
        """A WebP picture of it."""
        path = self._pictures.find(_address(request))

        def made() -> bytes:
            return self._thumbnails.made(_stamp(path), lambda: gallery.thumbnail(path.read_bytes()))

        # Whoever scrolls on leaves hundreds behind.
        async with self._turns:
            if await request.is_disconnected():
                return Response(status_code=499)
            return Response(await _in(self._quick, _tried, made), media_type="image/webp")

    async def upload(self, request: Request) -> Response:
        """Keep a file in memory for a while; the answer has its address."""
        data = await _body(request)
        number = next(self._numbers)
        self._uploads.put(str(number), data)
        return JSONResponse({"address": f"{_UPLOAD}/{number}"})

    async def unpacked(self, request: Request) -> Response:
        """The content of a Zstandard frame, whose size the query says."""
        size = _number(request, "size", 0, 0, 2 * gallery.LIMITS.pixels)
        data = await _body(request)
        content = await _in(self._slow, residuals.decompress_frame, data, size, "content")
        return Response(content, media_type="application/octet-stream")

    async def pixels(self, request: Request) -> Response:
        """RGBA of what a comparison has named, row by row."""
        found = self._pixels.get(request.path_params["key"])
        if found is None:
            return JSONResponse({"error": "not kept any more"}, 404)
        return Response(await _in(self._slow, _rgba, found), media_type="application/octet-stream")

    async def comparison(self, request: Request) -> Response:
        """JSON Lines: what is compared, the codecs as they come, what is measured of each."""
        address, asked = _address(request), Asked.of(request)
        stamp = (address,) if address.startswith(_UPLOAD) else _stamp(self._pictures.find(address))
        area = request.query_params.get("area", "")
        if area not in {"", *comparison.AREAS}:
            raise CrayError(f"area is {area}, expected {', '.join(comparison.AREAS)}")
        return _json_lines(request, self._compared(address, (stamp, area), area, asked))

    async def estimate(self, request: Request) -> Response:
        """JSON Lines: some of a folder's pictures as .cray, then what all of them may come to."""
        number, asked = request.path_params["number"], Asked.of(request)
        count = _number(request, "count", 5, 1, _SAMPLES)
        if number not in map(str, range(len(self._pictures.given))):
            raise NotShownError("not one of the folders that are shown")
        return _json_lines(request, self._estimated(int(number), count, asked))

    async def _compared(self, address: str, key: Any, area: str, asked: Asked) -> AsyncGenerator[Line, None]:
        slow = partial(_in, self._slow, _tried)
        work = await slow(lambda: self._works.made(key, lambda: comparison.work(self._read(address), area)))
        height, width = work.rgb.shape[:2]
        yield {
            "width": width, "height": height, "of": [work.width, work.height], "area": work.area,
            "areas": work.areas, "white": comparison.WHITE, "pixels": self._named(work.rgb),
        }  # fmt: skip
        ours = await slow(partial(comparison.cray, work.rgb, asked.quality, asked.effort))
        yield self._line("cray", ours)
        found = {"cray": ours}

        def rival(name: str) -> Coded:
            def sized(quality: int, make: Callable[[], bytes]) -> bytes:
                return self._coded.made((key, name, asked.effort < DEFAULT_EFFORT, quality), make)

            return comparison.rival(name, work.rgb, len(ours.data), asked.effort, sized)

        async for name, coded in self._each(comparison.RIVALS, _or_error(rival)):
            if isinstance(coded, CrayError):  # of this codec alone: WebP ends at 16383 pixels
                yield {"codec": name, "failed": one_line(coded)}
            else:
                found[name] = coded
                yield self._line(name, coded)
        async for name, map_ in self._each(
            found, lambda name: comparison.differences(work.rgb, found[name].rgb)
        ):
            difference = self._named(comparison.as_picture(map_))
            yield {"codec": name, "ciede2000": float(map_.mean()), "difference": difference}
        async for name, score in self._each(
            found, lambda name: comparison.ssimulacra2(work.rgb, found[name].rgb)
        ):
            yield {"codec": name, "ssimulacra2": score}

    async def _each(
        self, names: Iterable[str], make: Callable[[str], Result]
    ) -> AsyncGenerator[tuple[str, Result], None]:
        """What is made for each name, as it comes; what has not begun when nobody listens never does."""

        async def made(name: str) -> tuple[str, Result]:
            return name, await _in(self._slow, _tried, partial(make, name))

        tasks = [asyncio.ensure_future(made(name)) for name in names]
        try:
            for task in asyncio.as_completed(tasks):
                yield await task
        finally:
            for task in tasks:
                task.cancel()

    async def _estimated(self, number: int, count: int, asked: Asked) -> AsyncGenerator[Line, None]:
        given = self._pictures.given[number]
        found = await _in(self._slow, self._pictures.files, number)
        files = [each for each in found if "address" in each and not each["cray"]]
        total = sum(each["size"] for each in files)
        yield {"files": len(files), "size": total, "line": _batch_line(given.path, asked)}
        before = after = 0
        for place in range(min(count, len(files))):
            file = files[place * len(files) // min(count, len(files))]
            try:
                path = self._pictures.find(file["address"])
                size = await _in(self._slow, _tried, partial(_encoded_size, path, asked))
            except (CrayError, OSError) as error:
                yield {"name": file["name"], "error": one_line(error)}
                continue
            before, after = before + file["size"], after + size
            yield {"name": file["name"], "size": file["size"], "cray": size}
        if before:
            yield {"before": before, "after": after, "estimate": round(total * after / before)}

    def _line(self, name: str, coded: Coded) -> Line:
        return {
            "codec": name,
            "quality": coded.quality,
            "bytes": len(coded.data),
            "pixels": self._named(coded.rgb),
        }

    def _named(self, pixels: U8) -> int:
        number = next(self._numbers)
        self._pixels.put(str(number), pixels)
        return number

    def _read(self, address: str) -> bytes:
        kind, _, number = address.partition("/")
        if kind != _UPLOAD:
            return self._pictures.find(address).read_bytes()
        found = self._uploads.get(number)
        if found is None:
            raise NotShownError("it is not in memory any more, expected it to be dropped once more")
        return found


async def _in(pool: ThreadPoolExecutor, function: Callable[..., Result], *arguments: Any) -> Result:
    return await asyncio.get_running_loop().run_in_executor(pool, function, *arguments)


def _tried(function: Callable[[], Result]) -> Result:
    """What a function gives. Whatever a library raises of a broken file is an error about data."""
    try:
        return function()
    except (CrayError, OSError, MemoryError):
        raise
    except Exception as error:
        give_way(error)
        raise CrayError(one_line(error)) from error


def _or_error(make: Callable[[str], Result]) -> Callable[[str], Result | CrayError]:
    """What is made for a name, or why it cannot be made."""

    def tried(name: str) -> Result | CrayError:
        try:
            return _tried(partial(make, name))
        except (CrayError, OSError) as error:
            return CrayError(one_line(error))

    return tried


def _json_lines(request: Request, lines: AsyncGenerator[Line, None]) -> Response:
    """Lines as they come; none are made any more once nobody listens."""

    async def written() -> AsyncIterator[str]:
        try:
            async with aclosing(lines):
                async for line in lines:
                    if await request.is_disconnected():
                        return
                    yield json.dumps(line) + "\n"
        except (CrayError, OSError, MemoryError) as error:
            yield json.dumps({"error": one_line(error)}) + "\n"

    return StreamingResponse(written(), media_type="application/jsonl")


async def _body(request: Request) -> bytes:
    """What was sent. Raises LimitError where it would be too much."""
    stated = request.headers.get("content-length", "")
    if not stated.isdecimal() or int(stated) > UPLOADED // 2:
        raise LimitError(f"file is too large, the limit is {UPLOADED // 2} bytes")
    return await request.body()


def _address(request: Request) -> str:
    """What follows the third slash of a path, still quoted."""
    raw: bytes = request.scope["raw_path"]
    return raw.split(b"/", 3)[3].decode("ascii", "replace")


def _number(request: Request, name: str, default: int, least: int, most: int) -> int:
    text = request.query_params.get(name, str(default))
    if not (text.isascii() and text.isdecimal() and len(text) < 10 and least <= int(text) <= most):
        raise CrayError(f"{name} is {text}, expected {least} to {most}")
    return int(text)


def _stamp(path: Path) -> tuple[str, int, int]:
    """What changes when a file does."""
    status = path.stat()
    return str(path), status.st_mtime_ns, status.st_size


def _rgba(pixels: U8) -> bytes:
    rgba = np.full((*pixels.shape[:2], 4), 255, np.uint8)
    rgba[..., :3] = pixels if pixels.ndim == 3 else pixels[..., None]
    return rgba.tobytes()


def _encoded_size(path: Path, asked: Asked) -> int:
    picture = images.open_picture(path.read_bytes())
    return len(codec.encode(picture, quality=asked.quality, effort=asked.effort))


def _batch_line(folder: Path, asked: Asked) -> str:
    """What encodes all of a folder as its samples were."""
    target = f"{folder.resolve().name or 'pictures'}-cray"
    options = ["-q", str(asked.quality), "-e", str(asked.effort)]
    return shlex.join(["cray", "batch", "encode", *options, "--", readable(str(folder)), target])
