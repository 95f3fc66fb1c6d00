"""Builds varan._core. When that fails the package is installed without it, and the agent stays off.

The profiler reads this process with the server's own walker. In a source tree its files stand in ../src and are
copied to core/; a source distribution brings core/ with it.
"""

import glob
import shutil
from pathlib import Path

from setuptools import Extension, setup

VERSION = "0.1.0"
HERE = Path(__file__).resolve().parent
SHARED = {
    "base": ["clock", "error", "hot", "map", "memory", "slice", "vector"],
    "cpython": ["*"],
    "signal": ["profile_attributes", "profile_kind"],
    "wire": ["protobuf"],
}


def bring_core() -> None:
    source = HERE.parent / "src"
    if not (source / "cpython").is_dir():
        return
    shutil.rmtree(HERE / "core", ignore_errors=True)
    for floor, names in SHARED.items():
        (HERE / "core" / floor).mkdir(parents=True)
        for name in names:
            for path in sorted((source / floor).glob(f"{name}.[ch]")):
                shutil.copyfile(path, HERE / "core" / floor / path.name)


bring_core()

setup(
    ext_modules=[
        Extension(
            "varan._core",
            sources=sorted(glob.glob("src/*.c") + glob.glob("core/*/*.c")),
            depends=sorted(glob.glob("src/*.h") + glob.glob("core/*/*.h")),
            include_dirs=["core"],
            define_macros=[("_GNU_SOURCE", "1"), ("VARAN_VERSION", f'"{VERSION}"')],
            extra_compile_args=[
                "-std=gnu11",
                "-O2",
                "-fvisibility=hidden",
                "-fno-strict-aliasing",
                "-fno-semantic-interposition",
                "-Wall",
                "-Wextra",
                "-Wshadow",
                "-Wno-unused-parameter",
                "-Wno-missing-field-initializers",
                "-Wno-cast-function-type",
            ],
            libraries=["pthread", "dl", "m"],
            optional=True,
        )
    ]
)
