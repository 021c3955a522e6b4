"""What is left of damaged files."""

from __future__ import annotations

import time

import numpy as np
import pytest
from framing import END, chunk, head, lightness
from pictures import photo

import crayoncodec
from crayoncodec import CrayWarning, FormatError, LimitError, Limits
from crayoncodec.format.container import MAGIC, unpack


class TestSalvage:
    """With color="gray" a file opens as long as HEAD and LGHT are whole, and says what was damaged."""

    image = np.dstack([photo(12, 16), np.arange(192, dtype=np.uint8).reshape(12, 16)])
    data = crayoncodec.encode(
        image, n=4, exif=b"II*\0", icc_profile=b"profile", xmp=b"<GRID/>", lossless=True
    )
    gray = crayoncodec.decode(data, color="gray")[..., :3]

    def damaged(self, kind, mask=0xFF):
        """The file with each byte of a chunk damaged in turn."""
        (found,) = (chunk for chunk in crayoncodec.info(self.data).chunks if chunk.type == kind)
        for at in range(found.offset, found.offset + found.size):
            yield self.data[:at] + bytes([self.data[at] ^ mask]) + self.data[at + 1 :]

    @pytest.mark.parametrize("kind", ["GRID", "eXIf", "iCCP", "xMPd", "ALPH", "CEND"])
    def test_damage_beside_the_lightness_is_survived(self, kind):
        for bad in self.damaged(kind):
            with pytest.raises(FormatError):
                crayoncodec.decode(bad, color="guided")
            with pytest.warns(CrayWarning, match="left out: "):
                assert np.array_equal(crayoncodec.decode(bad, color="gray")[..., :3], self.gray)

    @pytest.mark.parametrize("kind", ["HEAD", "LGHT"])
    def test_damage_to_the_lightness_is_not(self, kind):
        for bad in self.damaged(kind, mask=0x20):
            with pytest.raises(FormatError):
                crayoncodec.decode(bad, color="gray")

    def test_damage_costs_no_other_chunk(self):
        for bad in self.damaged("eXIf"):
            file = unpack(bad, salvage=True)
            assert (len(file.grids), len(file.damaged)) == (1, 1)
            assert file.metadata == {"icc_profile": b"profile", "xmp": b"<GRID/>"}

    def test_what_is_missing_is_said(self):
        (found,) = (chunk for chunk in crayoncodec.info(self.data).chunks if chunk.type == "GRID")
        cut = self.data[: found.offset] + self.data[found.offset + found.size :]
        with pytest.warns(CrayWarning, match="0 GRID chunks, HEAD says 1"):
            crayoncodec.decode(cut, color="gray")
        with pytest.warns(CrayWarning, match="3 bytes after CEND"):
            crayoncodec.decode(self.data + b"end", color="gray")
        with pytest.warns(CrayWarning, match="file ends at"):
            crayoncodec.decode(self.data[:-12], color="gray")

    def test_what_is_too_new_or_too_large_stays_refused(self):
        with pytest.raises(FormatError, match="unknown critical chunk"):
            unpack(MAGIC + head(grids=0) + chunk(b"TEST") + lightness() + END, salvage=True)
        with pytest.raises(LimitError, match="ancillary"):
            unpack(self.data, Limits(metadata=5), salvage=True)

    def test_a_hostile_file_is_given_up_soon(self):
        start = time.perf_counter()
        with pytest.raises(FormatError):
            unpack(MAGIC + head(grids=0) + b"\0\6\0\0GRID" * 100_000, salvage=True)
        assert time.perf_counter() - start < 5
