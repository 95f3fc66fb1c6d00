"""Builds varan._core. When that fails the package is installed without it, and the agent stays off."""

import glob

from setuptools import Extension, setup

VERSION = "0.1.0"

setup(
    ext_modules=[
        Extension(
            "varan._core",
            sources=sorted(glob.glob("src/*.c")),
            depends=sorted(glob.glob("src/*.h")),
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
            libraries=["pthread", "dl"],
            optional=True,
        )
    ]
)
