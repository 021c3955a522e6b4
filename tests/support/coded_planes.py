"""A plane, and what each coder makes of it."""

from __future__ import annotations

from pictures import photo

from crayoncodec.format import planes

PLANE = photo(24, 33)[..., 1]
STREAMS = {
    "zstd": planes.encode(PLANE, "zstd", None),
    "webp": planes.encode(PLANE, "webp", None),
    "avif": planes.encode(PLANE, "avif", 60),
}
