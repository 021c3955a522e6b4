"""Pillow opens and saves .cray files once this module is imported, and so does what opens pictures with it.

``Image.open("photo.cray")`` then reads headers only, and the network runs in ``load()``. ``draft`` and
``thumbnail`` have a reduced picture decoded, as those of JPEG files, without a network;
``image.save("photo.cray", quality=80)`` takes the options of crayoncodec.encode. As with Pillow's own
savers EXIF, XMP and ``dpi`` are saved if they are given (the old orientation would turn a picture again that
has been turned), and the ICC profile stays unless it is given as None.
"""

from __future__ import annotations

import mimetypes
import threading
from typing import IO, Any, Final

from PIL import Image, ImageFile

from crayoncodec.codec import Color, Decoder, encode, is_cray
from crayoncodec.color.geometry import scale_within
from crayoncodec.errors import CrayError
from crayoncodec.files import metadata as meta
from crayoncodec.files.picture import pil_mode, to_pil
from crayoncodec.format import container
from crayoncodec.format.chunks import METADATA

FORMAT: Final = "CRAY"

_OPTIONS: Final = (
    "n", "quality", "color_quality", "max_delta_e", "target_size", "lossless", "sampling", "lightness",
    "step", "effort",
)  # fmt: skip
_decoder = Decoder()


class CrayImageFile(ImageFile.ImageFile):
    """A .cray file as a PIL image in mode RGB, RGBA, L or LA; ``info`` has exif, icc_profile, xmp, dpi
    and n.
    """

    format = FORMAT
    format_description = "crayoncodec"
    _encoded = False  # of pictures that were pickled: they are in memory

    def _open(self) -> None:
        assert self.fp is not None
        self._encoded, self._turn = True, threading.Lock()
        self._scale = 1
        try:
            file, chunks = container.scan(self.fp, _decoder.limits)
        except CrayError as error:
            # The magic is ours already, so no other plugin has to be asked (that would be SyntaxError).
            raise OSError(str(error)) from error
        for chunk in chunks:
            name = METADATA.get(chunk.type.encode())
            if name is not None:
                self.fp.seek(chunk.payload_offset)
                payload = self.fp.read(chunk.payload_size)
                self.info[name] = meta.EXIF_PREFIX + payload if name == "exif" else payload
                dpi = meta.resolution({name: payload})
                if dpi is not None:
                    self.info["dpi"] = dpi
        self._headers = file
        if file.grids:
            self.info["n"] = file.grids[-1].finest
        self._size = file.header.width, file.header.height
        self._mode = pil_mode(
            gray=not file.grids, alpha=file.alpha is not None, icc=self.info.get("icc_profile")
        )
        self.tile = []

    def verify(self) -> None:
        """Check every checksum and the structure. Raises OSError for a damaged file."""
        if not self._encoded or self.fp is None:
            raise RuntimeError("verify must be called directly after open")
        self.fp.seek(0)
        try:
            container.unpack(self.fp.read(), _decoder.limits)
        except CrayError as error:
            raise OSError(str(error)) from error
        super().verify()

    def draft(
        self, mode: str | None, size: tuple[int, int] | None
    ) -> tuple[str, tuple[int, int, float, float]] | None:
        """Have a picture decoded that is as many times smaller as leaves it no smaller than ``size``.

        As of a JPEG file, once and before there are pixels; 16 times at most. Colours come from cells of two
        of its pixels, and no network is used. Returns the mode, which stays what it is, and where in the
        picture the whole one is; None if nothing changes.
        """
        if not self._encoded or size is None:
            return None
        with self._turn:
            width, height = self.size
            most = min(width // max(1, size[0]), height // max(1, size[1]))
            scale = scale_within(most)
            if scale == 1 or self._scale > 1 or not self._encoded:
                return None
            self._scale = scale
            self._size = -(-width // scale), -(-height // scale)
        return self.mode, (0, 0, width / scale, height / scale)

    def load(self) -> Any:
        """Decode the picture, once, whichever threads ask for it. Raises OSError for a damaged file."""
        if self._encoded:
            with self._turn:
                self._decode()
        return super().load()

    def _decode(self) -> None:
        if not self._encoded or self.fp is None:
            return
        self.fp.seek(0)
        try:
            picture = self._own_decoder().picture(self.fp.read())
        except CrayError as error:
            raise OSError(str(error)) from error
        self.im = to_pil(picture).convert(self.mode).im
        if self._exclusive_fp:
            self.fp.close()
        self.fp = None
        self._encoded = False

    def _own_decoder(self) -> Decoder:
        """The process's, or one for a draft."""
        if self._scale == 1:
            return _decoder
        levels = _decoder.levels
        if self._headers.is_nested:
            # Pillow drafts twice what it needs, so that colours of half the draft are as many as it needs.
            fitting = self._headers.levels_to(2 * self._scale)
            levels = fitting if levels is None else min(fitting, levels)
        color: Color = "gray" if _decoder.color == "gray" else "guided"
        return Decoder(color=color, levels=levels, scale=self._scale, limits=_decoder.limits)


def register(**options: Any) -> None:
    """Register the plugin; ``options`` are those of crayoncodec.Decoder (color, model, device, limits).

    ``limits`` hold for ``Image.open`` and ``verify``, too. Raises ValueError for one that Decoder refuses,
    and for ``scale``: a picture has the size that its header says until ``draft`` or ``thumbnail`` asks for
    less.
    """
    global _decoder  # noqa: PLW0603 - Pillow's plugins have no other way to take options
    chosen = Decoder(**options)
    if chosen.scale > 1:
        raise ValueError(f"scale is {chosen.scale}, expected none: draft() and thumbnail() choose it")
    _decoder = chosen
    Image.register_open(FORMAT, CrayImageFile, is_cray)
    Image.register_save(FORMAT, _save)
    Image.register_save_all(FORMAT, _save_all)
    Image.register_extension(FORMAT, ".cray")
    Image.register_mime(FORMAT, container.MIME_TYPE)
    mimetypes.add_type(container.MIME_TYPE, ".cray")


def _save(image: Image.Image, stream: IO[bytes], filename: str | bytes) -> None:
    """Metadata as of Pillow's savers of PNG and AVIF."""
    given = image.encoderinfo
    options = {name: given[name] for name in _OPTIONS if name in given}
    exif, xmp = given.get("exif"), given.get("xmp")
    if given.get("dpi") not in (None, (0, 0)):  # what Pillow's plugins take for none
        exif = meta.with_resolution(meta.exif_bytes(exif) if exif else None, given["dpi"])
    metadata = {
        "exif": exif,
        "icc_profile": given.get("icc_profile", image.info.get("icc_profile")),
        "xmp": xmp.encode() if isinstance(xmp, str) else xmp,
    }
    # What is None would be taken from the picture.
    options |= {name: b"" if value is None else value for name, value in metadata.items()}
    try:
        stream.write(encode(image, **options))
    except CrayError as error:
        raise OSError(str(error)) from error


def _save_all(image: Image.Image, stream: IO[bytes], filename: str | bytes) -> None:
    if getattr(image, "n_frames", 1) > 1 or image.encoderinfo.get("append_images"):
        raise ValueError("a .cray file has one picture, expected no other frames with save_all")
    _save(image, stream, filename)


register()
