"""The kernels give the same integers on every machine: portable.c prints what they give."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MACHINE = ROOT / "crayoncodec/machine"
SOURCES = [
    *(path for path in sorted(MACHINE.glob("*.c")) if not path.stem.startswith("native")),
    Path(__file__).with_name("portable.c"),
]
FLAGS = ["-std=c11", "-ffp-contract=off", "-Wall", "-Wextra", "-Werror", f"-I{MACHINE}"]
EXPECTED = {
    "convolve": "daf4a999", "head": "233b754b", "restore": "63c0f304", "halve": "80e969e8",
    "prepare": "cd810b6d", "settle": "42b9c0c5", "children": "7e8074cc", "turn": "fd554cea",
    "given": "b5bb0c4e", "continued": "782a2cd7", "texture": "f862205d", "lab": "cd40a797",
    "sample": "8607fa6b", "symbols": "73ebf498", "choose": "2e2eead4",
}  # fmt: skip
WASM = ["--target=wasm32", "-msimd128", "-mbulk-memory", "-nostdlib"]
STRING = """#include <stddef.h>
void *memcpy(void *restrict to, const void *restrict from, size_t size);
void *memset(void *to, int value, size_t size);
"""
NODE = """const module = new WebAssembly.Module(require("fs").readFileSync(process.argv[1]));
const {checksum, best_version} = new WebAssembly.Instance(module).exports;
process.argv[2].split(" ").forEach((name, kernel) => {
  for (let version = 0; version <= best_version(); version++)
    console.log(name, version, (checksum(kernel, version) >>> 0).toString(16).padStart(8, "0"));
});
"""


def program(name):
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"there is no {name}")
    return found


def run(*command):
    return subprocess.run([*map(str, command)], check=True, capture_output=True, text=True).stdout


def found(said):
    """Kernel and version -> checksum."""
    lines = (line.split() for line in said.splitlines())
    return {(kernel, int(version)): checksum for kernel, version, checksum in lines}


def expected(*versions):
    return {(kernel, version): crc for kernel, crc in EXPECTED.items() for version in versions}


@pytest.mark.parametrize(("compiler", "level"), [("gcc", "-O2"), ("clang", "-O3")])
def test_here(compiler, level, tmp_path):
    run(program(compiler), *FLAGS, level, "-funsigned-char", *SOURCES, "-o", tmp_path / "portable")
    here = found(run(tmp_path / "portable"))
    assert here == expected(*{version for _, version in here})


def test_on_arm(tmp_path):
    compiler, machine = program("aarch64-linux-gnu-gcc"), program("qemu-aarch64")
    run(compiler, *FLAGS, "-O3", "-fno-trapping-math", "-static", *SOURCES, "-o", tmp_path / "portable")
    assert found(run(machine, tmp_path / "portable")) == expected(0, 1)


@pytest.fixture(scope="module")
def webassembly(tmp_path_factory):
    """Compiled as they are: of C's library they need two functions, which WebAssembly has as instructions."""
    folder, compiler = tmp_path_factory.mktemp("webassembly"), program("clang")
    (folder / "string.h").write_text(STRING, encoding="utf-8")
    for source in SOURCES:
        run(
            compiler,
            *WASM,
            *FLAGS,
            "-O3",
            "-isystem",
            folder,
            "-c",
            source,
            "-o",
            folder / f"{source.stem}.o",
        )
    return folder


def test_convolutions_in_webassembly_multiply_and_add_at_once(webassembly):
    said = run(program("llvm-objdump"), "-d", webassembly / "rows.o")
    assert said.count("i32x4.dot_i16x8_s") > 10


def test_in_webassembly(webassembly):
    node, compiler = program("node"), program("clang")
    program("wasm-ld")
    module = webassembly / "portable.wasm"
    link = "-Wl,--no-entry,--export=checksum,--export=best_version,-z,stack-size=1048576"
    run(compiler, *WASM, *sorted(webassembly.glob("*.o")), link, "-o", module)
    assert found(run(node, "-e", NODE, module, " ".join(EXPECTED))) == expected(0, 1)
