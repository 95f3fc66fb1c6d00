"""Writes a C file that holds a text file: embed_text.py INPUT OUTPUT NAME (NAME, and NAME_size)."""

import sys
from pathlib import Path

source, target, name = sys.argv[1:]
data = Path(source).read_bytes()
lines = [", ".join(map(str, data[at : at + 24])) for at in range(0, len(data), 24)]
Path(target).write_text(
    "#include <stddef.h>\n"
    f"extern const unsigned char {name}[];\nextern const size_t {name}_size;\n"
    f"const unsigned char {name}[] = {{\n    " + ",\n    ".join(lines) + "\n};\n"
    f"const size_t {name}_size = sizeof({name});\n"
)
