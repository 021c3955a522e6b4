"""The container: every rule of docs/format.md, section 1, and that no damage passes."""

from __future__ import annotations

import io
import tracemalloc
from dataclasses import replace

import pytest
from framing import END, alpha, chunk, grid, head, lightness, nested, palette
from hypothesis import given, settings
from hypothesis import strategies as st

from crayoncodec import FormatError, LimitError, Limits
from crayoncodec.color.geometry import SAMPLINGS
from crayoncodec.format import chunks, container, limits
from crayoncodec.format.chunks import (
    ALPHA_CODERS,
    GRID_CODERS,
    METADATA,
    PAINTINGS,
    PLANE_CODERS,
    SHOWN,
    CrayFile,
    GridChunk,
    Header,
    PlaneChunk,
)
from crayoncodec.format.container import MAGIC, pack, unpack

NESTED = chunks.NESTED
PALETTE = chunks.PALETTE
UNIFORM = [coder for coder in GRID_CODERS if coder not in (NESTED, PALETTE)]
EXIF = chunk(b"eXIf", b"II*\0")
FULL = CrayFile(
    Header(258, 3, 1),
    PlaneChunk("avif", b"L", 80),
    (GridChunk(20, "point", 256, "webp", b"G"),),
    PlaneChunk("webp", b"A"),
    {"exif": b"E", "icc_profile": b"I", "xmp": b"X"},
    "refined 1",
    ((b"teSt", b"?"),),
)


def scan(data, limits=limits.DEFAULT_LIMITS):
    return container.scan(io.BytesIO(data), limits)[0]


def refused(data, read=unpack):
    try:
        read(data)
    except (FormatError, LimitError):
        return True
    return False


def test_the_smallest_file_byte_for_byte():
    file = CrayFile(Header(width=1, height=1, grids=0), PlaneChunk("zstd", b"\x2a"))
    data = bytes.fromhex(
        "89 43 52 59 0d 0a 1a 0a"
        "00 00 00 0d 48 45 41 44 01 00 00 00 00 01 00 00 00 01 01 08 00 6d 10 76 05"
        "00 00 00 03 4c 47 48 54 00 ff 2a 68 e9 45 7e"
        "00 00 00 00 43 45 4e 44 c1 ff 80 e6"
    )
    assert pack(file) == data
    assert unpack(data) == file


def test_a_file_with_everything_byte_for_byte():
    data = bytes.fromhex(
        "89 43 52 59 0d 0a 1a 0a"
        "00 00 00 0d 48 45 41 44 01 00 00 00 01 02 00 00 00 03 01 08 01 29 ea 9d b8"
        "00 00 00 01 65 58 49 66 45 d3 13 e7 1c"
        "00 00 00 01 69 43 43 50 49 1c c6 82 0b"
        "00 00 00 01 78 4d 50 64 58 6e 63 85 26"
        "00 00 00 01 73 68 6f 57 01 47 b4 c5 f6"
        "00 00 00 01 74 65 53 74 3f 55 47 b7 05"
        "00 00 00 07 47 52 49 44 01 00 14 01 01 00 47 94 22 71 29"
        "00 00 00 03 4c 47 48 54 02 50 4c e6 23 f5 5b"
        "00 00 00 02 41 4c 50 48 01 41 45 81 5e bf"
        "00 00 00 00 43 45 4e 44 c1 ff 80 e6"
    )
    assert pack(FULL) == data
    assert unpack(data) == FULL


def planes(coders, **options):
    return st.builds(PlaneChunk, st.sampled_from(coders), st.binary(max_size=40), **options)


@st.composite
def files(draw):
    grids = draw(st.sampled_from(("none", "one", "nested", "palette")))
    step, payload = st.integers(1, 65535), st.binary(max_size=40)
    if grids == "one":
        spacing, sampling, coder = st.integers(1, 65535), st.sampled_from(SAMPLINGS), st.sampled_from(UNIFORM)
        chunks = [draw(st.builds(GridChunk, spacing, sampling, step, coder, payload))]
    elif grids == "palette":
        chunks = [GridChunk(1, "mean", draw(step), PALETTE, draw(payload))]
    elif grids == "nested":
        counts = draw(st.lists(st.integers(1, 5), min_size=1, max_size=3))
        network = draw(st.integers(0, 255))
        chunks = [
            GridChunk(2 ** (15 - sum(counts[:k])), "mean", draw(step), NESTED, draw(payload),
                      network, count)
            for k, count in enumerate(counts)
        ]  # fmt: skip
    else:
        chunks = []
    kinds = st.from_regex(rb"\A[a-z][A-Za-z]{3}\Z").filter(lambda kind: kind not in (*METADATA, SHOWN))
    return CrayFile(
        Header(
            draw(st.integers(1, 9999)),
            draw(st.integers(1, 9999)),
            len(chunks),
            minor=draw(st.integers(0, 255)),
        ),
        draw(planes(PLANE_CODERS, quality=st.none() | st.integers(0, 100))),
        tuple(chunks),
        draw(st.none() | planes(ALPHA_CODERS)),
        draw(st.dictionaries(st.sampled_from([*METADATA.values()]), st.binary(max_size=40))),
        draw(st.none() | st.sampled_from(PAINTINGS)),
        tuple(draw(st.lists(st.tuples(kinds, st.binary(max_size=40)), max_size=3))),
    )


@settings(deadline=None)
@given(files())
def test_what_is_packed_comes_back(file):
    data = pack(file)
    assert unpack(data) == file
    assert unpack(data, salvage=True) == file


@settings(deadline=None)
@given(files())
def test_scan_agrees_with_unpack_on_all_but_payloads(file):
    data = pack(file)
    scanned, chunks = container.scan(io.BytesIO(data))
    assert scanned == replace(
        file,
        lightness=replace(file.lightness, payload=b""),
        grids=tuple(replace(grid, payload=b"") for grid in file.grids),
        alpha=None if file.alpha is None else replace(file.alpha, payload=b""),
        metadata=dict.fromkeys(file.metadata, b""),
        unknown=tuple((kind, b"") for kind, _ in file.unknown),
    )
    assert chunks[0].offset == len(MAGIC)
    for found, following in zip(chunks, [*(one.offset for one in chunks[1:]), len(data)], strict=True):
        assert found.offset + found.size == following
        assert data[found.offset + 4 : found.offset + 8] == found.type.encode()
        assert found.payload_offset + found.payload_size + 4 == following


def test_scan_reads_no_payload():
    class Counting(io.BytesIO):
        count = 0

        def read(self, size=-1):
            data = super().read(size)
            self.count += len(data)
            return data

    big = b"x" * 100_000
    plane = PlaneChunk("zstd", big)
    file = replace(FULL, lightness=plane, alpha=plane, metadata={"xmp": big}, unknown=((b"teSt", big),))
    stream = Counting(pack(file))
    container.scan(stream)
    assert stream.count < 150


def test_scan_starts_where_the_stream_stands():
    stream = io.BytesIO(b"before" + pack(FULL))
    stream.seek(6)
    assert container.scan(stream)[0].header == FULL.header


def test_files_cut_off_anywhere_are_refused():
    data = pack(FULL)
    assert [
        size for size in range(len(data)) if not (refused(data[:size]) and refused(data[:size], scan))
    ] == []


@pytest.mark.parametrize("mask", [0xFF, *(1 << bit for bit in range(8))])
def test_a_damaged_byte_anywhere_is_found(mask):
    data = pack(FULL)
    damaged = (data[:at] + bytes([data[at] ^ mask]) + data[at + 1 :] for at in range(len(data)))
    assert [at for at, bad in enumerate(damaged) if not refused(bad)] == []


@pytest.mark.parametrize("read", [unpack, scan])
@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "empty"),
        (MAGIC[:-1], "not a .cray file: begins with 89 43"),
        (b"\x89PNG\r\n\x1a\n" + head(), "not a .cray file: begins with 89 50"),
        (MAGIC.replace(b"\r\n", b"\n") + head(), "not a .cray file"),
        (MAGIC, "file ends at offset 8"),
        (MAGIC + lightness() + END, "LGHT at offset 8 is out of order"),
        (MAGIC + EXIF + head(), "eXIf at offset 8, expected HEAD"),
        (MAGIC + head() + head() + lightness() + END, "HEAD at offset 33 is out of order"),
        (MAGIC + head() + lightness() + grid() + END, "GRID at offset 52 is out of order"),
        (MAGIC + head(grids=0) + lightness() + lightness() + END, "LGHT at offset 52 is out of order"),
        (MAGIC + head(grids=0) + alpha() + lightness() + END, "LGHT at offset 51 is out of order"),
        (MAGIC + head(grids=0) + lightness() + alpha() + alpha() + END, "ALPH at offset 70 is out of order"),
        (MAGIC + head(grids=0) + EXIF + lightness() + EXIF + END, "eXIf at offset 68 is there twice"),
        (MAGIC + head(grids=0) + END, "no LGHT chunk"),
        (MAGIC + head(grids=0) + lightness(), "file ends at offset 52"),
        (MAGIC + head(grids=0) + lightness() + END + END, "12 bytes after CEND at offset 64"),
        (MAGIC + head(grids=0) + lightness() + END + b"\n", "1 bytes after CEND at offset 64"),
        (MAGIC + head(grids=1) + lightness() + END, "0 GRID chunks, HEAD says 1"),
        (MAGIC + head(grids=0) + grid() + lightness() + END, "1 GRID chunks, HEAD says 0"),
        (MAGIC + head(grids=1) + grid() + grid() + lightness() + END, "2 GRID chunks, HEAD says 1"),
        (MAGIC + head(major=2), "format version 2"),
        (MAGIC + head(major=0), "format version 0"),
        (MAGIC + chunk(b"HEAD", b"\2and all else is new"), "format version 2"),
        (MAGIC + chunk(b"HEAD", b""), "HEAD at offset 8 has 0 bytes"),
        (MAGIC + chunk(b"HEAD", b"\1" * 12), "HEAD at offset 8 has 12 bytes"),
        (MAGIC + chunk(b"HEAD", b"\1" * 14), "HEAD at offset 8 has 14 bytes"),
        (MAGIC + head(width=0), "picture is 0 x 3"),
        (MAGIC + head(height=0), "picture is 5 x 0"),
        (MAGIC + head(color=0), "colour transform 0"),
        (MAGIC + head(color=2), "colour transform 2"),
        (MAGIC + head(depth=16), "lightness depth 16"),
        (MAGIC + head(grids=17), "17 colour grids, expected 0 to 16"),
        (MAGIC + head() + grid(spacing=0), "spacing n is 0"),
        (MAGIC + head() + grid(step=0), "step 0"),
        (MAGIC + head() + grid(sampling=2), "sampling is 2"),
        (MAGIC + head() + grid(coder=4), "coder is 4"),
        (MAGIC + head() + palette(step=0), "step 0"),
        (MAGIC + head() + nested(levels=9), "9 nested grids from n = 128, expected none below n = 1"),
        (MAGIC + head() + nested(step=0), "step 0"),
        (MAGIC + head(grids=2) + nested() + grid() + lightness() + END, "one of them zstd"),
        (MAGIC + head(grids=2) + nested() + palette() + lightness() + END, "one of them palette"),
        (MAGIC + head(grids=2) + nested() + nested(5) + lightness() + END, "n = 32, network 4"),
        (MAGIC + head(grids=2) + nested() + nested(7) + lightness() + END, "n = 128, network 4"),
        (MAGIC + head(grids=2) + nested() + nested(6, network=5) + lightness() + END, "network 5"),
        (MAGIC + head() + chunk(b"GRID"), "GRID at offset 33 has 0 bytes"),
        (MAGIC + head() + chunk(b"GRID", b"\0" * 5), "zstd in 5 bytes, expected at least 6"),
        (MAGIC + head() + chunk(b"GRID", b"\1" * 5), "webp in 5 bytes, expected at least 6"),
        (MAGIC + head() + chunk(b"GRID", b"\2" * 4), "nested in 4 bytes, expected at least 5"),
        (MAGIC + head() + chunk(b"GRID", b"\3" * 2), "palette in 2 bytes, expected at least 3"),
        (MAGIC + head() + lightness(coder=3), "coder is 3"),
        (MAGIC + head() + lightness(quality=101), "quality is 101"),
        (MAGIC + head() + lightness(quality=254), "quality is 254"),
        (MAGIC + head() + chunk(b"LGHT", b"\0"), "LGHT at offset 33 has 1 bytes"),
        (MAGIC + head() + lightness() + alpha(coder=2), "coder is 2"),
        (MAGIC + head() + lightness() + chunk(b"ALPH"), "ALPH at offset 52 has 0 bytes"),
        (MAGIC + head() + lightness() + chunk(b"CEND", b"!"), "CEND at offset 52 has 1 bytes"),
        (MAGIC + head() + chunk(b"TEST"), "unknown critical chunk TEST at offset 33"),
        (MAGIC + head() + chunk(b"LGHX"), "unknown critical chunk LGHX"),
        (MAGIC + head() + chunk(b"te5t"), "chunk type 74 65 35 74 at offset 37"),
        (MAGIC + head() + chunk(b"\xe9eee"), "chunk type e9 65 65 65"),
        (MAGIC + head() + b"\xff\xff\xff\xff" + lightness()[4:], "claims 4294967295 bytes, the file ends"),
        (MAGIC + head() + b"\x80\0\0\0" + lightness()[4:], "claims 2147483648 bytes"),
        (MAGIC + head() + b"\0\0\0\x08" + lightness()[4:], "claims 8 bytes, the file ends after 7"),
    ],
)  # fmt: skip
def test_what_is_refused(read, data, text):
    with pytest.raises(FormatError) as caught:
        read(data)
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)


def test_checksums_are_compared():
    data = bytearray(MAGIC + head(grids=0) + lightness() + END)
    data[41] ^= 1
    text = r"LGHT at offset 33: CRC-32 is [0-9a-f]{8}, the file says [0-9a-f]{8}"
    with pytest.raises(FormatError, match=text):
        unpack(bytes(data))


@pytest.mark.parametrize("where", range(4))
def test_unknown_ancillary_chunks_are_passed_over_anywhere_and_kept(where):
    parts = [head(), grid(), lightness(), alpha(), END]
    parts.insert(1 + where, chunk(b"teSt", b"kept"))
    file = unpack(MAGIC + b"".join(parts))
    assert file.unknown == ((b"teSt", b"kept"),)
    assert chunk(b"teSt", b"kept") in pack(file)
    assert unpack(pack(file)) == file


@pytest.mark.parametrize("read", [unpack, scan])
@pytest.mark.parametrize("payload", [b"", b"\2", b"\xff", b"\0\0"])
def test_ways_of_painting_that_are_not_known_are_passed_over_and_kept(read, payload):
    data = MAGIC + head() + chunk(SHOWN, payload) + grid() + lightness() + END
    assert read(data).painting is None
    assert chunk(SHOWN, payload) in pack(unpack(data))


@pytest.mark.parametrize("read", [unpack, scan])
def test_the_first_way_of_painting_that_is_known_counts(read):
    shown = b"".join(chunk(SHOWN, payload) for payload in (b"\7", b"\1", b"\0"))
    assert read(MAGIC + head() + shown + grid() + lightness() + END).painting == "refined 1"


@pytest.mark.parametrize("read", [unpack, scan])
def test_a_tiny_file_that_claims_a_huge_picture_costs_nothing(read):
    data = (MAGIC + head(width=65535, height=65535) + lightness())[:40]
    tracemalloc.start()
    with pytest.raises(LimitError, match="65535 x 65535 = 4294836225 pixels, the limit is 178956970"):
        read(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100_000


@pytest.mark.parametrize("read", [unpack, scan])
def test_limits(read):
    data = pack(FULL)
    assert read(data, Limits(pixels=774, metadata=29, ancillary=5)).header == FULL.header
    with pytest.raises(LimitError, match="258 x 3 = 774 pixels, the limit is 773"):
        read(data, Limits(pixels=773))
    with pytest.raises(LimitError, match="the limit of a side is 42"):
        read(data, Limits(side=42))
    with pytest.raises(LimitError, match="ancillary chunks exceed 28 bytes at offset"):
        read(data, Limits(metadata=28))
    with pytest.raises(LimitError, match="more than 4 ancillary chunks at offset"):
        read(data, Limits(ancillary=4))


@pytest.mark.parametrize("read", [unpack, scan])
@pytest.mark.parametrize(
    ("many", "limits", "text"),
    [
        (chunk(b"teSt"), Limits(), "more than 1000 ancillary chunks"),
        (chunk(b"teSt"), Limits(metadata=12 * 2000 - 1, ancillary=2000), "ancillary chunks exceed 23999"),
        (grid(), Limits(), "2 GRID chunks, HEAD says 1"),
    ],
    ids=["number", "framing", "grids"],
)
def test_chunks_without_end_are_given_up_at_the_limit(read, many, limits, text):
    data = MAGIC + head() + many * 20_000
    tracemalloc.start()
    with pytest.raises((LimitError, FormatError), match=text):
        read(data, limits)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**20


def test_chunks_of_more_than_2_gib_are_not_written(monkeypatch):
    monkeypatch.setattr(container, "MAX_CHUNK", 100)
    with pytest.raises(LimitError, match="chunk xMPd has 101 bytes, expected at most 100"):
        pack(replace(FULL, metadata={"xmp": b"x" * 101}))
