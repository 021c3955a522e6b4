"""Where networks run: every backend paints the same, and what cannot be is said in one line."""

from __future__ import annotations

import ctypes
import subprocess
import sys

import numpy as np
import pytest
from commandline import cray
from pictures import photo

import crayoncodec
from crayoncodec import DeviceError
from crayoncodec.painting import backends, checkpoints, runtimes
from crayoncodec.painting.pytorch import TorchBackend

SMALL = ("nested", "compact")
CPU = ("opencv", "openvino", "onnx")


class TestAgreement:
    @pytest.mark.parametrize("backend", CPU)
    def test_every_backend_paints_what_torch_does(self, coded, backend):
        decoder, reference = (
            crayoncodec.Decoder(color="neural", backend=name, device="cpu") for name in (backend, "torch")
        )
        for data in coded:
            difference = decoder.decode(data).astype(int) - reference.decode(data)
            assert np.abs(difference).max() <= 1

    @pytest.mark.parametrize("backend", [*CPU, "torch"])
    def test_results_stay_when_the_next_come(self, backend):
        rng = np.random.default_rng(0)
        windows = [
            {name: rng.normal(0, 9, (size, 40, 56)).astype(np.float32) for name, size in
             (("lightness", 1), ("cell_lightness", 1), ("bicubic", 2), ("base", 2))}
            for _ in range(3)
        ]  # fmt: skip
        loaded = backends.load("nested", backend=backend, device="cpu")
        kept = list(loaded.predict(windows, 9.0))
        for window, found in zip(windows, kept, strict=True):
            (alone,) = loaded.predict([window], 9.0)
            assert np.array_equal(found, alone)
            assert found.shape == (2, 40, 56)

    @pytest.mark.parametrize("backend", ["openvino", "torch"])
    def test_bfloat16_is_close(self, coded, backend):
        options = {"color": "neural", "backend": backend, "device": "cpu"}
        for data in coded[:1]:
            exact = crayoncodec.decode(data, **options).astype(int)
            assert np.abs(crayoncodec.decode(data, precision="bfloat16", **options) - exact).mean() < 0.5


class TestChoice:
    @pytest.mark.parametrize(
        ("modules", "expected"),
        [(("cv2", "torch"), "opencv"), (("cv2", "onnxruntime"), "onnx"),
         (("cv2", "onnxruntime", "openvino"), "openvino")],
    )  # fmt: skip
    def test_auto_takes_the_fastest_that_is_installed(self, installed, modules, expected):
        installed(*modules)
        card = checkpoints.read_card(checkpoints.find("nested"))
        assert backends._chosen(card, "auto", "auto", "auto") == expected

    def test_auto_takes_torch_where_there_is_no_graph(self):
        assert isinstance(backends.load("crayon", device="cpu"), TorchBackend)

    def test_auto_takes_torch_where_there_is_cuda(self, monkeypatch):
        monkeypatch.setattr(backends, "has_cuda", lambda: True)
        card = checkpoints.read_card(checkpoints.find("nested"))
        assert backends._chosen(card, "auto", "auto", "auto") == "torch"
        assert backends._chosen(card, "auto", "cpu", "auto") != "torch"
        assert backends._chosen(card, "opencv", "auto", "auto") == "opencv"

    def test_the_driver_is_asked(self, monkeypatch):
        class Driver:
            def cuInit(self, flags):  # noqa: N802
                return 0

            def cuDeviceGetCount(self, count):  # noqa: N802
                count._obj.value = 2
                return 0

        monkeypatch.setattr(ctypes, "CDLL", lambda name: Driver())
        assert backends._has_nvidia_device()
        monkeypatch.setattr(Driver, "cuInit", lambda self, flags: 100)
        assert not backends._has_nvidia_device()

    @pytest.mark.parametrize(("backend", "extra"), [("openvino", "openvino"), ("onnx", "onnx")])
    def test_what_is_not_installed_is_named_with_its_extra(self, installed, tmp_path, backend, extra):
        installed("cv2", "torch")
        path = tmp_path / "photo.cray"
        crayoncodec.write(path, photo(9, 9))
        said = cray("decode", str(path), "--color", "neural", "--backend", backend, code=2).stderr
        assert said.count("\n") == 1
        assert said.endswith(f", expected pip install crayoncodec[{extra}]\n")

    def test_what_is_installed_but_broken_is_said(self, monkeypatch):
        find = backends.find_spec
        monkeypatch.setattr(backends, "find_spec", lambda name: find("cv2"))
        monkeypatch.setitem(sys.modules, "onnxruntime", None)
        with pytest.raises(DeviceError, match="backend onnx cannot be imported"):
            backends.load("nested", backend="onnx")

    def test_networks_without_a_graph_need_torch(self):
        with pytest.raises(DeviceError, match="network crayon has no graph for opencv, expected torch"):
            backends.load("crayon", backend="opencv")

    @pytest.mark.parametrize(
        "options",
        [{"backend": "opencv", "device": "cuda"}, {"backend": "opencv", "precision": "int8"},
         {"backend": "onnx", "precision": "float16"}, {"device": "cuda", "precision": "int8"},
         {"precision": "float8"}, {"backend": "tensorflow"}],
    )  # fmt: skip
    def test_options_that_exclude_each_other(self, options, tmp_path):
        with pytest.raises(ValueError, match="expected"):
            crayoncodec.Decoder(**options)
        arguments = [text for name, value in options.items() for text in (f"--{name}", value)]
        assert "Error: " in cray("decode", "photo.cray", *arguments, code=2).stderr

    def test_runtimes_say_nothing(self, tmp_path):
        crayoncodec.write(tmp_path / "photo.cray", photo(20, 20))
        for backend in CPU:
            command = [sys.executable, "-m", "crayoncodec", "decode", "photo.cray", "--color", "neural",
                       "--backend", backend, "--overwrite", "--quiet"]  # fmt: skip
            done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
            assert done.stdout + done.stderr == ""

    def test_signals_are_outlived_when_networks_come_and_go(self):
        program = """
import gc, os, signal
from crayoncodec.painting import backends
signal.signal(signal.SIGINT, lambda *_: None)
for _ in range(3):
    first = backends.load("nested", backend="openvino", device="cpu")
    second = backends.load("compact", backend="openvino", device="cpu")
    del first
    gc.collect()
    del second
    gc.collect()
    os.kill(os.getpid(), signal.SIGINT)
"""
        subprocess.run([sys.executable, "-c", program], check=True)

    def test_processes_that_are_told_how_many_threads_use_them(self, monkeypatch):
        for value, expected in (("3", 3), ("", 0), ("4,2", 0)):
            monkeypatch.setenv("OMP_NUM_THREADS", value)
            assert runtimes._threads() == expected
