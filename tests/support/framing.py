"""Chunks of .cray files, byte by byte; those of PNG are framed alike."""

from __future__ import annotations

import struct
import zlib


def chunk(kind, payload=b""):
    return struct.pack(">I", len(payload)) + kind + payload + struct.pack(">I", zlib.crc32(kind + payload))


def head(major=1, minor=0, width=5, height=3, color=1, depth=8, grids=1):
    return chunk(b"HEAD", struct.pack(">BBIIBBB", major, minor, width, height, color, depth, grids))


def grid(spacing=2, sampling=0, step=256, coder=0):
    return chunk(b"GRID", struct.pack(">BHBH", coder, spacing, sampling, step) + b"grid")


def nested(octave=7, levels=1, step=256, network=4):
    return chunk(b"GRID", nested_fields(octave, levels, step, network) + b"grid")


def nested_fields(octave, levels, step, network):
    """octave: log2 of the first level's spacing."""
    return struct.pack(">BBBH", 2, network, 16 * octave + levels - 1, step)


def palette(step=256):
    return chunk(b"GRID", struct.pack(">BH", 3, step) + b"palette")


def lightness(coder=0, quality=255):
    return chunk(b"LGHT", bytes([coder, quality]) + b"plane")


def alpha(coder=0):
    return chunk(b"ALPH", bytes([coder]) + b"alpha")


END = chunk(b"CEND")
