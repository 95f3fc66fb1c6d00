"""Turns the folder of the built page into a C file: embed.py FOLDER OUTPUT.c DEPFILE

Each file becomes an array of bytes (gzipped when that pays), with its type, an ETag, and whether its
name carries a hash of its content. Without the folder a small page is embedded that says how to build it.
"""

from __future__ import annotations

import gzip
import hashlib
import re
import sys
from pathlib import Path

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".json": "application/json; charset=utf-8",
    ".webmanifest": "application/manifest+json",
    ".txt": "text/plain; charset=utf-8",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".woff2": "font/woff2",
    ".wasm": "application/wasm",
}
HASHED = re.compile(r"-[A-Za-z0-9_-]{8}\.[a-z0-9]+$")
MISSING = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Varan</title>
<body style="font: 16px/1.5 system-ui, sans-serif; max-width: 40em; margin: 4em auto; padding: 0 1em">
<h1>Varan is running, its page is not built in</h1>
<p>This binary was built before the page. Build both with <code>make build</code> in the source folder, and
start the new binary. The API answers: <a href="/api/v1/status">/api/v1/status</a>.</p>
"""


def files_of(folder: Path) -> dict[str, bytes]:
    if not (folder / "index.html").is_file():
        return {"index.html": MISSING.encode()}
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and not name.startswith(".") and path.suffix != ".map":
            found[name] = path.read_bytes()
    return found


def array(data: bytes) -> str:
    lines = (data[i : i + 32] for i in range(0, len(data), 32))
    return "\n".join("    " + ",".join(map(str, line)) + "," for line in lines)


def render(files: dict[str, bytes]) -> str:
    parts = ['/* Made by tools/embed.py: the built page. */\n#include "api/page_files.h"\n']
    rows = []
    for number, (name, content) in enumerate(files.items()):
        zipped = gzip.compress(content, 9, mtime=0)
        pays = len(zipped) < len(content) * 0.9
        data = zipped if pays else content or b"\0"
        etag = hashlib.sha256(content).hexdigest()[:20]
        kind = TYPES.get(Path(name).suffix, "application/octet-stream")
        parts.append(f"static const uint8_t file_{number}[] = {{\n{array(data)}\n}};\n")
        size = len(zipped) if pays else len(content)
        hashed = "true" if HASHED.search(name) else "false"
        rows.append(
            f'    {{"{name}", "{kind}", "\\"{etag}\\"", {hashed}, {str(pays).lower()}, '
            f"file_{number}, {size}, {len(content)}}},"
        )
    parts.append("const struct page_file page_files[] = {\n" + "\n".join(rows) + "\n};")
    parts.append(f"const size_t page_files_n = {len(rows)};\n")
    return "\n".join(parts)


def dependencies(folder: Path) -> list[Path]:
    """What must not change without running this again: the files, and the folders they may appear in."""
    if not folder.is_dir():
        return [folder.parent]
    return [folder, *sorted(folder.rglob("*"))]


def main() -> None:
    folder, output, depfile = (Path(word) for word in sys.argv[1:4])
    output.write_text(render(files_of(folder)))
    needed = " ".join(str(path).replace(" ", "\\ ") for path in dependencies(folder))
    depfile.write_text(f"{output}: {needed}\n")


if __name__ == "__main__":
    main()
