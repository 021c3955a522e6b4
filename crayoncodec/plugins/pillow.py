"""Pillow opens and saves .cray files once this module is imported.

``Image.open("photo.cray")`` then reads headers only, and the network runs in ``load()``;
``image.save("photo.cray", quality=80)`` takes the options of crayoncodec.encode.
"""

from __future__ import annotations

from typing import IO, Any, Final

from PIL import Image, ImageFile

from crayoncodec import container
from crayoncodec.codec import Decoder, encode, is_cray
from crayoncodec.errors import CrayError
from crayoncodec.images import pil_mode, to_pil
from crayoncodec.metadata import EXIF_PREFIX

FORMAT: Final = "CRAY"

_OPTIONS: Final = (
    "n", "quality", "color_quality", "max_delta_e", "target_size", "lossless", "sampling", "lightness",
    "step", "effort", "exif", "icc_profile", "xmp",
)  # fmt: skip
_decoder = Decoder()


class CrayImageFile(ImageFile.ImageFile):
    """A .cray file as a PIL image in mode RGB, RGBA, L or LA; ``info`` has exif, icc_profile, xmp and n."""

    format = FORMAT
    format_description = "crayoncodec"

    def _open(self) -> None:
        assert self.fp is not None
        self._encoded = True
        try:
            file, chunks = container.scan(self.fp)
        except CrayError as error:
            # The magic is ours already, so no other plugin has to be asked (that would be SyntaxError).
            raise OSError(str(error)) from error
        for chunk in chunks:
            name = container.METADATA.get(chunk.type.encode())
            if name is not None:
                self.fp.seek(chunk.payload_offset)
                payload = self.fp.read(chunk.payload_size)
                self.info[name] = EXIF_PREFIX + payload if name == "exif" else payload
        if file.grids:
            self.info["n"] = file.grids[-1].spacing
        self._size = file.header.width, file.header.height
        self._mode = pil_mode(
            gray=not file.grids, alpha=file.alpha is not None, icc=self.info.get("icc_profile")
        )
        self.tile = []

    def verify(self) -> None:
        """Check every checksum and the structure. Raises OSError for a damaged file."""
        assert self.fp is not None
        self.fp.seek(0)
        try:
            container.unpack(self.fp.read())
        except CrayError as error:
            raise OSError(str(error)) from error
        super().verify()

    def load(self) -> Any:
        """Decode the picture, once. Raises OSError for a damaged file."""
        if self._encoded and self.fp is not None:
            self.fp.seek(0)
            try:
                picture = _decoder.picture(self.fp.read())
            except CrayError as error:
                raise OSError(str(error)) from error
            self.im = to_pil(picture).convert(self.mode).im
            self._encoded = False
            if self._exclusive_fp:
                self.fp.close()
            self.fp = None
        return super().load()


def register(**options: Any) -> None:
    """Register the plugin; ``options`` are those of crayoncodec.Decoder (color, model, device, limits)."""
    global _decoder  # noqa: PLW0603 - Pillow's plugins have no other way to take options
    _decoder = Decoder(**options)
    Image.register_open(FORMAT, CrayImageFile, is_cray)
    Image.register_save(FORMAT, _save)
    Image.register_extension(FORMAT, ".cray")
    Image.register_mime(FORMAT, "image/x-cray")


def _save(image: Image.Image, stream: IO[bytes], filename: str | bytes) -> None:
    options = {name: image.encoderinfo[name] for name in _OPTIONS if name in image.encoderinfo}
    try:
        stream.write(encode(image, **options))
    except CrayError as error:
        raise OSError(str(error)) from error


register()
