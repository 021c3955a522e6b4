"""Pictures that are learned from: taken from folders and packs, once, whatever is among them."""

from __future__ import annotations

import io
import os
import tarfile

import numpy as np
import pytest
from pictures import photo, png
from training_runs import SIDE, packed

from crayoncodec.color import cielab
from crayoncodec.errors import TrainingError
from crayoncodec.training import data


class TestData:
    def test_holds_every_usable_picture(self, dataset):
        assert dataset.squares.shape == (4, 4, SIDE, SIDE)
        assert dataset.skipped == {"unreadable": 2, "too small": 1, "grey": 1, "excluded": 0}
        lightness, ab = cielab.rgb_to_lab(photo(SIDE, SIDE, 0))
        assert np.abs(dataset.squares[0, 1:3] / data.UNIT - ab).max() <= 0.5 / data.UNIT + 1e-4
        assert np.abs(dataset.squares[0, 0] / data.UNIT - lightness).max() < 0.2
        lossy = np.abs(dataset.squares[:, 3] - dataset.squares[:, 0]).mean(axis=(1, 2)) / data.UNIT
        assert ((lossy > 0.05) & (lossy < 10)).all()

    def test_is_made_once_and_again_when_a_source_changes(self, dataset, sources, tmp_path, capsys):
        path = tmp_path / "train.lab"
        made = path.stat().st_mtime_ns
        again = data.open_dataset(sources, path, SIDE)
        assert path.stat().st_mtime_ns == made
        assert np.array_equal(again.squares, dataset.squares)
        (sources[0] / "new.png").write_bytes(png(photo(SIDE, SIDE, 12)))
        assert len(data.open_dataset(sources, path, SIDE).squares) == 5

    def test_is_made_again_if_it_was_cut_short(self, dataset, sources, tmp_path):
        path, before = tmp_path / "train.lab", dataset.squares.copy()
        path.write_bytes(path.read_bytes()[:-1])
        assert np.array_equal(data.open_dataset(sources, path, SIDE).squares, before)

    def test_lossy_lightness_is_made_where_it_is_wanted(self, dataset, sources, tmp_path):
        exact = data.open_dataset(sources, tmp_path / "exact.lab", SIDE, lossy=False)
        assert np.array_equal(exact.squares[:, :3], dataset.squares[:, :3])
        assert np.array_equal(exact.squares[:, 3], exact.squares[:, 0])

    def test_named_pictures_are_left_out(self, sources, tmp_path):
        dataset = data.open_dataset(sources, tmp_path / "x.lab", SIDE, without=["a/b.png", "deep/0.png"])
        assert len(dataset.squares) == 2
        assert dataset.skipped["excluded"] == 2

    def test_a_link_into_what_is_closed_is_unreadable(self, sources, tmp_path, monkeypatch):
        closed, stat = sources[0] / "closed.png", os.stat

        def refused(path, **options):
            if path == closed:
                raise PermissionError(13, "Permission denied")
            return stat(path, **options)

        closed.symlink_to(tmp_path / "closed")
        monkeypatch.setattr("os.stat", refused)
        dataset = data.open_dataset(sources, tmp_path / "x.lab", SIDE)
        assert dataset.skipped["unreadable"] == 3

    def test_a_pack_that_is_cut_off_gives_what_it_has(self, tmp_path):
        pack = packed(tmp_path / "p.tar", {f"{seed}.png": png(photo(SIDE, SIDE, seed)) for seed in range(3)})
        pack.write_bytes(pack.read_bytes()[:-12000])
        dataset = data.open_dataset([pack], tmp_path / "x.lab", SIDE)
        assert len(dataset.squares) == 2
        assert dataset.skipped["unreadable"] == 1

    @pytest.mark.parametrize("compression", ["gz", "bz2", "xz"])
    @pytest.mark.parametrize("damage", ["cut", "changed"])
    def test_a_compressed_pack_that_is_damaged_gives_what_it_has(self, tmp_path, compression, damage):
        pack = tmp_path / f"p.tar.{compression}"
        noise = np.random.default_rng(0).integers(0, 256, 2_000_000, np.uint8).tobytes()
        with tarfile.open(pack, f"w:{compression}") as tar:
            for name, content in (("0.png", png(photo(SIDE, SIDE, 0))), ("1.png", noise), ("2.png", noise)):
                member = tarfile.TarInfo(name)
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
        content = bytearray(pack.read_bytes())
        if damage == "cut":
            del content[-1_000_000:]
        else:
            content[-1_000_000:-999_000] = bytes(1000)
        pack.write_bytes(content)
        dataset = data.open_dataset([pack], tmp_path / "x.lab", SIDE)
        assert len(dataset.squares) == 1
        assert dataset.skipped["unreadable"] >= 1

    def test_nothing_usable(self, tmp_path):
        with pytest.raises(TrainingError, match="no usable picture of at least 64 x 64 pixels in"):
            data.open_dataset([tmp_path], tmp_path / "x.lab", SIDE)
        (tmp_path / "x.tar").write_bytes(b"no pack")
        with pytest.raises(TrainingError, match=r"x\.tar is neither a folder nor a tar pack"):
            data.open_dataset([tmp_path / "x.tar"], tmp_path / "x.lab", SIDE)
        assert not (tmp_path / "x.lab").exists()

    def test_a_split_has_every_picture_once(self, dataset):
        training, validation = data.held_out(dataset.squares, 0.3, 0)
        assert sorted([*training, *validation]) == [0, 1, 2, 3]
        assert len(validation) == 1
