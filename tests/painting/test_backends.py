"""Where networks run: what is asked of torch, and what is said where it is not there."""

from __future__ import annotations

import numpy as np
import pytest
from commandline import cray
from pictures import photo

import crayoncodec
from crayoncodec import DeviceError
from crayoncodec.painting import backends


def test_results_stay_when_the_next_come():
    rng = np.random.default_rng(0)
    windows = [
        {name: rng.normal(0, 9, (size, 40, 56)).astype(np.float32) for name, size in
         (("lightness", 1), ("cell_lightness", 1), ("bicubic", 2), ("base", 2))}
        for _ in range(3)
    ]  # fmt: skip
    loaded = backends.load("compact", device="cpu")
    kept = list(loaded.predict(windows, 9.0))
    for window, found in zip(windows, kept, strict=True):
        (alone,) = loaded.predict([window], 9.0)
        assert np.array_equal(found, alone)
        assert found.shape == (2, 40, 56)


@pytest.mark.parametrize("precision", ["float16", "bfloat16"])
def test_halves_are_close(precision):
    data = crayoncodec.encode(photo(99, 161), n=5)
    exact = crayoncodec.decode(data, device="cpu").astype(int)
    halves = crayoncodec.decode(data, device="cpu", precision=precision)
    assert 0 < np.abs(halves - exact).mean() < 0.5


@pytest.mark.parametrize("options", [{"precision": "float8"}, {"precision": "int8"}, {"device": "tpu"}])
def test_options_that_are_not_known(options):
    with pytest.raises(ValueError, match="expected one of auto, "):
        crayoncodec.Decoder(**options)
    ((name, value),) = options.items()
    assert "Error: " in cray("decode", "photo.cray", f"--{name}", value, code=2).stderr


@pytest.mark.usefixtures("without_torch")
class TestWithoutTorch:
    def test_networks_say_what_they_need(self):
        assert not backends.is_installed()
        expected = r"networks need torch, expected pip install crayoncodec\[torch\]"
        with pytest.raises(DeviceError, match=expected) as said:
            backends.load("compact")
        assert "\n" not in str(said.value)
        assert expected.replace("\\", "") in cray("models", "verify", "compact", code=2).stderr

    @pytest.mark.parametrize("options", [{"n": 20, "effort": 9}, {"n": 20}, {"lossless": True}])
    def test_only_what_is_fitted_to_a_network_needs_it(self, options):
        if options.get("effort") == 9:
            with pytest.raises(DeviceError, match="networks need torch"):
                crayoncodec.encode(photo(40, 50), **options)
        else:
            crayoncodec.encode(photo(40, 50), **options)
