"""Lets pip build the Python module with CMake; pyproject.toml holds everything else."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

ROOT = Path(__file__).resolve().parent


def version():
    text = (ROOT / "CMakeLists.txt").read_text("utf-8")
    return re.search(r"project\(sentinel VERSION ([0-9.]+)", text).group(1)


def pybind11_folder():
    """CMake's part of pip's pybind11; without it CMake looks for the system's."""
    try:
        import pybind11
    except ImportError:
        return []
    return [f"-Dpybind11_DIR={pybind11.get_cmake_dir()}"]


class CMakeBuild(build_ext):
    def build_extension(self, ext):
        package = Path(self.get_ext_fullpath(ext.name)).resolve().parent
        build = Path(self.build_temp).resolve()
        jobs = os.environ.get("CMAKE_BUILD_PARALLEL_LEVEL") or str(os.cpu_count() or 1)
        for command in (
            ["cmake", "-S", str(ROOT), "-B", str(build), "-DCMAKE_BUILD_TYPE=Release",
             "-DBUILD_TESTING=OFF", "-DSENTINEL_PYTHON=ON", f"-DSENTINEL_PYTHON_DIR={package.parent}",
             f"-DPython_EXECUTABLE={sys.executable}", *pybind11_folder()],
            ["cmake", "--build", str(build), "--target", "sentinel_python", "-j", jobs],
            ["cmake", "--install", str(build), "--component", "python"],
        ):
            subprocess.run(command, check=True)
        for folder in ("models", "texts"):
            shutil.copytree(ROOT / folder, package / "share" / "sentinel" / folder,
                            ignore=shutil.ignore_patterns("reference*"), dirs_exist_ok=True)


setup(
    version=version(),
    ext_modules=[Extension("sentinel._core", sources=[])],
    cmdclass={"build_ext": CMakeBuild},
)
