"""Turns the numbered *.sql files into a C table: embed.py OUTPUT INPUT...

Comments are dropped and statements are split here, so that the server only runs them in order.
"""

import pathlib
import re
import sys


def statements(text: str) -> list[str]:
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("--")]
    lines = [re.sub(r"\s+--\s.*$", "", line) for line in lines]
    parts = re.split(r";[ \t]*$", "\n".join(lines), flags=re.MULTILINE)
    return [part.strip() for part in parts if part.strip()]


def literal(text: str) -> str:
    rows = text.splitlines()
    escaped = [row.replace("\\", "\\\\").replace('"', '\\"') for row in rows]
    return "\n".join(f'                        "{row}\\n"' for row in escaped)


def main() -> None:
    output, *inputs = sys.argv[1:]
    out = ['#include "store/migrate.h"\n']
    rows = []
    for number, path in enumerate(sorted(map(pathlib.Path, inputs)), start=1):
        match = re.fullmatch(r"(\d{3})_([a-z0-9_]+)", path.stem)
        if not match or int(match[1]) != number:
            sys.exit(f"{path}: expected {number:03d}_name.sql: numbers are dense and start at 001")
        parts = statements(path.read_text())
        out.append(f"static const char *const statements_{number}[] = {{")
        out.extend(literal(part) + "," for part in parts)
        out.append("};\n")
        rows.append(f'        {{{number}, "{match[2]}", statements_{number}, {len(parts)}}},')
    out.append("const struct migration migrations[] = {")
    out.extend(rows)
    out.append("};")
    out.append(f"const unsigned migrations_n = {len(rows)};")
    pathlib.Path(output).write_text("\n".join(out) + "\n")


if __name__ == "__main__":
    main()
