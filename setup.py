"""What setup.cfg cannot say: the licence as an SPDX expression, and that files of models/ and what pages load
of web/ lie within the package in what is installed.

As a package of another folder (package_dir) they would be found in a checkout by an import hook, and type
checkers do not follow hooks.
"""

import os
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent


DATA = {
    "models": ["*.*"],
    "web": ["*.js", "*.css", "index.html", "kernels.wasm", "view/*"],
}
"""What of which folders lies within the package."""


class BuildWithData(build_py):
    """Modules, the weights and cards of the folder models, and the pages of the folder web."""

    def run(self) -> None:
        """Copy them."""
        super().run()
        if not self.editable_mode:
            for source, target in self._data():
                self.mkpath(str(target.parent))
                self.copy_file(str(source), str(target))

    def get_source_files(self) -> list[str]:
        """What the source distribution has to have."""
        return [*super().get_source_files(), *(str(source.relative_to(ROOT)) for source, _ in self._data())]

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        """What there is when it has run."""
        outputs = super().get_outputs(include_bytecode)
        return outputs if self.editable_mode else [*outputs, *(str(target) for _, target in self._data())]

    def _data(self) -> list[tuple[Path, Path]]:
        inside = Path(self.build_lib) / "crayoncodec"
        sources = [
            path for folder, kinds in DATA.items() for kind in kinds for path in (ROOT / folder).glob(kind)
        ]
        return [(source, inside / source.relative_to(ROOT)) for source in sorted(sources) if source.is_file()]


MACHINE = "crayoncodec/machine"
KERNELS = Extension(
    "crayoncodec.machine._native",
    sorted(str(path.relative_to(ROOT)) for path in (ROOT / MACHINE).glob("*.c")),
    depends=sorted(str(path.relative_to(ROOT)) for path in (ROOT / MACHINE).glob("*.h")),
    extra_compile_args=[]
    if os.name == "nt"
    else ["-O3", "-std=c11", "-ffp-contract=off", "-fno-trapping-math"],
    py_limited_api=True,
    optional=True,
)


class BuildKernels(build_ext):
    """The kernels, which are left out where there is no compiler."""

    def build_extension(self, ext: Extension) -> None:
        """Compile them, or say in a line that it could not be done."""
        try:
            super().build_extension(ext)
        except Exception as error:
            reason = " ".join(str(error).split())
            self.warn(
                f"no kernels ({reason}): NumPy computes the same more slowly; with a C compiler, build again"
            )


setup(
    license_expression="Apache-2.0",
    cmdclass={"build_py": BuildWithData, "build_ext": BuildKernels},
    ext_modules=[KERNELS],
)
