"""A checkpoint's graph, quantised: convolutions of 8-bit whole numbers, calibrated on pictures.

The first layers and the last keep their floats: they see and make the picture's own units. What lies in the
outermost ten thousandth of a layer's inputs is clipped, and steps are finer for it.
"""

from __future__ import annotations

import contextlib
import io
import logging
import random
import tempfile
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from crayoncodec import codec
from crayoncodec.color import cielab
from crayoncodec.color.grid import ColorGrid
from crayoncodec.encoding.parameters import DEFAULT_QUALITY
from crayoncodec.errors import CrayError, TrainingError
from crayoncodec.files import images
from crayoncodec.format import container, decoding
from crayoncodec.painting import checkpoints, runtimes
from crayoncodec.painting.checkpoints import Card
from crayoncodec.painting.recolorize import Backend, painter, whole, windows
from crayoncodec.training.data import pictures

_PICTURES: Final = 48
_SIDE: Final = 192
"""Of the squares that are taken of them; ONNX Runtime wants one size."""
_PERCENTILE: Final = 99.99
_SPACINGS: Final = (4, 6, 10, 20, 40)
"""Of the grids that a network for one grid is calibrated with."""
_MEASURED: Final = 20
"""And measured with."""
_FLOATS: Final = ("unshuffle", "stem", "head")

U8 = NDArray[np.uint8]
F32 = NDArray[np.float32]


def write(weights: Path, sources: Collection[Path], measured_on: Collection[Path] = ()) -> Card:
    """Write the int8 graph of the checkpoint ``weights`` beside it.

    sources: folders or tar packs of pictures, of which a few are taken. measured_on: likewise; the card gets
    the AB MSE on all of these. Raises CheckpointError, TrainingError, OSError.
    """
    card, graph = checkpoints.graph(str(weights))
    _tools()
    exact = runtimes.load(str(weights), "opencv")
    feeds = []
    for index, rgb in enumerate(_some(sources)):
        lightness, grid = _coded(_square(rgb), card, _SPACINGS[index % len(_SPACINGS)])
        if grid is not None:
            feeds += [exact.feed(window, grid.coarseness) for window in windows(lightness, grid, exact)]
    if not feeds:
        raise TrainingError(f"no colour picture that can be read in {', '.join(map(str, sources))}")
    data = _quantized(graph, feeds)
    card = checkpoints.write_graph(weights, "int8", data)
    rounded = runtimes.load(str(weights), "onnx", "int8")
    decoders = {"guided": None, "float32": exact, "int8": rounded}
    coding = f"quality {DEFAULT_QUALITY}" if card.is_for_nested else f"n = {_MEASURED}"
    metrics = {
        f"{source.name}, coded with {coding}, AB MSE": _measured(source, card, decoders)
        for source in measured_on
    }
    return checkpoints.write_graph(weights, "int8", data, metrics)


def _tools() -> tuple[Any, Any]:
    """The modules that it takes. Raises TrainingError if they are not installed."""
    try:
        import onnx
        from onnxruntime import quantization
    except ImportError as error:
        raise TrainingError(
            f"quantising a graph needs {error.name}, expected pip install crayoncodec[export]"
        ) from error
    return onnx, quantization


class _Feeds:
    """What ONNX Runtime calls a calibration data reader."""

    def __init__(self, feeds: list[dict[str, F32]]) -> None:
        self._left = iter(feeds)

    def get_next(self) -> dict[str, F32] | None:
        return next(self._left, None)


def _quantized(graph: bytes, feeds: list[dict[str, F32]]) -> bytes:
    onnx, quantization = _tools()
    with tempfile.TemporaryDirectory() as folder, _silence():
        path = Path(folder) / "int8.onnx"
        quantization.quantize_static(
            onnx.load_from_string(graph),
            path,
            _Feeds(feeds),
            op_types_to_quantize=["Conv", "ConvTranspose"],
            nodes_to_exclude=list(_FLOATS),
            per_channel=True,
            # Weights of 7 bits: processors without VNNI add products up in 16 bits, too few for 8.
            reduce_range=True,
            weight_type=quantization.QuantType.QInt8,
            activation_type=quantization.QuantType.QUInt8,
            calibrate_method=quantization.CalibrationMethod.Percentile,
            extra_options={"CalibPercentile": _PERCENTILE},
        )
        return path.read_bytes()


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Without what ONNX Runtime prints and logs on the way."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logging.disable(before)


def _some(sources: Collection[Path]) -> Iterator[U8]:
    """A few pictures from anywhere in the sources, the same each time."""
    rng = random.Random(0)
    chosen: list[bytes] = []
    for seen, (_, data) in enumerate(pictures(sources)):
        place = seen if seen < _PICTURES else rng.randrange(seen + 1)
        if place < _PICTURES and data is not None:
            chosen[place : place + 1] = [data]
    for picture in chosen:
        with contextlib.suppress(CrayError, OSError):
            yield images.open_rgb(picture)


def _square(rgb: U8) -> U8:
    """A corner of a picture, reflected where the picture is smaller."""
    corner = rgb[:_SIDE, :_SIDE]
    return np.pad(corner, [(0, _SIDE - size) for size in corner.shape[:2]] + [(0, 0)], mode="symmetric")


def _coded(rgb: U8, card: Card, spacing: int) -> tuple[U8, ColorGrid | None]:
    """Lightness and colours as a decoder has them; the latter None if there are none."""
    file = container.unpack(codec.encode(rgb, n=None if card.is_for_nested else spacing))
    lightness = decoding.decode_lightness(file)
    return lightness, decoding.decode_grid(file, lightness)


def _measured(source: Path, card: Card, decoders: Mapping[str, Backend | None]) -> dict[str, float]:
    """AB MSE of each over all pictures of a source."""
    errors: dict[str, list[float]] = {name: [] for name in decoders}
    for _, data in pictures([source]):
        if data is None:
            continue
        rgb = images.open_rgb(data)
        lightness, grid = _coded(rgb, card, _MEASURED)
        if grid is None:
            continue
        ab = cielab.rgb_to_lab(rgb)[1]
        for name, backend in decoders.items():
            errors[name].append(
                float(np.square(painter(lightness, grid, backend)(whole(lightness)) - ab).mean())
            )
    return {name: float(np.mean(values)) for name, values in errors.items()}
