"""Chunks of .cray files, byte by byte; those of PNG are framed alike."""

from __future__ import annotations

import struct
import zlib


def chunk(kind, payload=b""):
    return struct.pack(">I", len(payload)) + kind + payload + struct.pack(">I", zlib.crc32(kind + payload))


def head(major=1, minor=0, width=5, height=3, color=1, depth=8, grids=1):
    return chunk(b"HEAD", struct.pack(">BBIIBBB", major, minor, width, height, color, depth, grids))


def grid(level=0, spacing=2, sampling=0, step=256, coder=0):
    return chunk(b"GRID", struct.pack(">BHBHB", level, spacing, sampling, step, coder) + b"grid")


def nested(level=0, spacing=128, sampling=0, step=256, network=4, levels=1):
    fields = struct.pack(">BHBHBBB", level, spacing, sampling, step, 2, network, levels)
    return chunk(b"GRID", fields + b"grid")


def lightness(coder=0, quality=255):
    return chunk(b"LGHT", bytes([coder, quality]) + b"plane")


def alpha(coder=0):
    return chunk(b"ALPH", bytes([coder]) + b"alpha")


END = chunk(b"CEND")
