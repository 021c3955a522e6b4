"""Tables: what stands in a cell, and what is a hole."""

from __future__ import annotations

import numpy as np

from benchmarks.measuring.results import Results, Row
from benchmarks.tables import color_bytes, decisions, seconds, summary, whole_files


def test_a_mean_is_over_all_pictures_or_a_hole(recorded):
    rows = [
        Row("files", "x", "q=1", "a", {"bpp": 1.0, "psnr_rgb": 30.0}),
        Row("files", "x", "q=1", "b", {"bpp": 2.0}),
        Row("files", "x", "q=2", "a", {"bpp": 1.0, "psnr_rgb": 30.0}),
        Row("files", "x", "q=2", "b", None, "failed"),
    ]
    found = recorded(*rows)
    assert found.mean("files", "x", "q=1", "bpp") == 1.5
    assert found.mean("files", "x", "q=1", "psnr_rgb") == np.inf
    assert found.mean("files", "x", "q=1", "ab_mse") is None
    assert found.mean("files", "x", "q=2", "bpp") is None
    assert "| x | q=1 | 1.50 | — | — | ∞ |" in whole_files.files(found)
    assert "| x | q=2 | — | — | — | — |" in whole_files.files(found)


def test_table_of_equal_quality():
    found = Results({"pictures": ["a", "b"]}, {}, {})
    for picture, ours in (("a", 80), ("b", 110)):
        values = {"rival_bytes": 100, "bytes": ours, "bytes_interpolated": ours - 15.0}
        found.add([Row("equal", "cray", "AVIF 4:2:0 quality=50", picture, values)])
    row = whole_files.equal(found).splitlines()[-1]
    assert row == (
        "| cray | AVIF 4:2:0 quality=50 | −5.0 % | −20.0 % to +10.0 % | 1 of 2 "
        "| −20.0 % | −35.0 % to −5.0 % | 2 of 2 |"
    )


def test_table_of_nested_grids_has_each_rivals_worst_picture():
    found = Results({"pictures": ["a", "b"]}, {}, {})
    for picture, factor in (("a", 0.5), ("b", 0.8)):
        for codec, size in (("AVIF 4:2:0", 1.0), ("cray nested", factor)):
            for setting, error in (("1", 9.5), ("2", 6.0), ("3", 4.0), ("4", 3.2)):
                values = {"color_bpp": size / error, "ab_mse": error, "ciede2000_mean": error / 3,
                          "ciede2000_p99": error}  # fmt: skip
                found.add([Row("colors", codec, setting, picture, values)])
    (row,) = [
        line
        for line in color_bytes.nested(found).splitlines()
        if line.startswith("| cray nested | AVIF 4:2:0 |")
    ]
    assert row.split("|")[3] == " −35.0 % (2 of 2) / −20.0 % "


def test_the_summary_has_mean_and_worst_picture_and_seconds():
    """Ours takes half of AVIF's bytes on one picture, four fifths on the other, which the last set lacks."""
    whole, present, cropped, others = (
        Results({"folder": name, "pictures": ["a", "b"]}, {}, {}) for name in "wxyz"
    )
    for picture, factor in (("a", 0.5), ("b", 0.8)):
        for codec, color, size in (("AVIF 4:2:0", "AVIF 4:2:0", 1.0), ("cray", "cray nested", factor)):
            for setting, error in (("1", 9.0), ("2", 6.0), ("3", 3.0)):
                values = {"bpp": size / error, "ssimulacra2": 90 - error, "ciede2000_mean": error}
                present.add([Row("files", codec, setting, picture, values)])
                before = values if codec == "AVIF 4:2:0" else values | {"bpp": 2 / error}
                whole.add(
                    Row("files", name, setting, picture, before)
                    for name in ([codec, "WebP"] if codec == "cray" else [codec])
                )
                values = {"color_bpp": size / error, "ciede2000_mean": error}
                cropped.add([Row("colors", color, setting, picture, values)])
                if picture == "a":
                    others.add([Row("colors", color, setting, picture, values)])
                else:
                    others.add([Row("colors", color, setting, picture, {"color_bpp": size})])
    seconds = {"encode_startup_s": 4.449, "decode_startup_s": 6.3}
    whole.add([Row("speed", "cray", "quality=80", "12 MP", seconds)])
    rows = {
        line.split(" | ")[0]: line for line in summary.summary(whole, present, cropped, others).splitlines()
    }
    shares = "−35.0 % / −20.0 %"
    assert rows["| cray"] == (
        f"| cray | {shares} | {shares} | {shares} | −50.0 % / −50.0 % (1 of 2) | 4.4 / 6.3 |"
    )
    assert rows["| WebP"] == "| WebP | +100.0 % / +100.0 % | +100.0 % / +100.0 % | — | — | — |"
    assert rows["| JPEG XL"] == "| JPEG XL | — | — | — | — | — |"


def test_whole_files_beside_a_jpeg(recorded):
    sizes = {("JPEG 4:2:0", "quality=92"): (100, 200), ("cray n=20", "n=20 quality=80"): (90, 210)}
    rows = [
        Row("files", *choice, name, {"bytes": size, "bpp": size / 100})
        for choice, pair in sizes.items()
        for name, size in zip("ab", pair, strict=True)
    ]
    lines = whole_files.beside(recorded(*rows)).splitlines()
    assert lines[2].startswith("| JPEG 4:2:0, quality=92 | 1.50 | 100 % | 0 of 2 |")
    (ours,) = [line for line in lines if line.startswith("| cray, n=20 quality=80 |")]
    assert ours.startswith("| cray, n=20 quality=80 | 1.50 | 100 % | 1 of 2 |")
    assert "| WebP, quality=92 | — | — | — | — |" in "\n".join(lines)


def test_what_a_network_adds_and_what_auto_does(recorded):
    rows = [
        Row("painting", "nested", f"q={spacing}", name, {
            "spacing": spacing, "step": 10.4453, "ab_mse_guided": 1.0, "ab_mse_neural": error
        })
        for spacing in (2, 4)
        for name, error in (("a", 0.1), ("b", 10**0.2))
    ]  # fmt: skip
    table = decisions.painting(recorded(*rows)).splitlines()
    assert table[-2:] == [
        "| nested | q=2 | 2 | 10.4 | +4.00 | −2.00 | +10.00 | guided |",
        "| nested | q=4 | 4 | 10.4 | +4.00 | −2.00 | +10.00 | neural |",
    ]
    rows.append(Row("painting", "nested", "q=4", "b", None, "failed"))
    table = decisions.painting(recorded(*rows))
    assert "| nested | q=4 | — | — | — | — | — | — |" in table


def test_half_the_color_bytes_at_equal_error(recorded):
    errors = (12, 8, 5, 3, 2)
    rows = [
        Row("colors", codec, f"q={error}", "a", {
            "color_bpp": bpp / error, "ab_mse": error, "ciede2000_mean": error
        })
        for codec, bpp in {"AVIF 4:2:0": 1.0, "AVIF 4:2:0 tune=psnr": 0.8, "x": 0.5}.items()
        for error in errors
    ]  # fmt: skip
    table = color_bytes.colors(recorded(*rows))
    per, pooled = "−50.0 % (1 of 1)", "−50.0 %"
    against_default = f"{per} | {pooled} | {per}"
    assert f"| x | {against_default.replace('50.0', '37.5')} | {against_default} |" in table


def test_speed_by_size(recorded):
    values = {"megapixels": 12.0} | {
        f"{way}_{name}": value
        for way, scale in (("encode", 1.0), ("decode", 2.0))
        for name, value in (("s", 3 * scale), ("startup_s", 4 * scale), ("peak_mb", 500 * scale))
    }
    rows = [Row("speed", "x", "q=1", "12 MP", values), Row("speed", "y", "q=1", "12 MP", None, "no y")]
    found = recorded(*rows)
    for render, cell in (
        (seconds.throughput, "4 / 2"), (seconds.startup, "4.00 / 8.00"), (seconds.memory, "500 / 1000")
    ):  # fmt: skip
        assert f"| x, q=1 | {cell} |" in render(found)
        assert "| y, q=1 | — |" in render(found)


def test_stages_and_commands(recorded):
    values = {"megapixels": 12.0, "encode: AVIF": 3.0, "decode: network": 6.0, "decode: AVIF": 0.6}
    values |= {f"{what}_{name}": value for what in ("encode", "decode", "decode_ppm")
               for name, value in (("s", 24.0), ("peak_mb", 500.0))}  # fmt: skip
    rows = [Row("stages", "guided", "q", "12 MP", {**values, "decode: network": 0.0}),
            Row("stages", "network, OpenCV", "q", "12 MP", values)]  # fmt: skip
    found = recorded(*rows)
    table = seconds.stages(found).splitlines()
    assert "| encode | AVIF | 0.2500 |" in table
    assert "| decode | AVIF | 0.0500 |" in table
    assert "| decode | network, OpenCV | 0.5000 |" in table
    assert not any("PNG" in line for line in table)
    table = seconds.commands(found).splitlines()
    assert table.count("| encode | 24.00 / 2.000 / 500 |") == 1
    assert "| decode to PPM, network, OpenCV | 24.00 / 2.000 / 500 |" in table
