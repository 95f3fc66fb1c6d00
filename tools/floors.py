"""Checks the house's order: a folder of src/ may include only folders that stand above it."""

import re
import sys
from pathlib import Path

FLOORS = (
    "base wire net signal store derive receive query alert diagnose api cpython profile cli".split()
)


def main() -> int:
    root = Path(__file__).resolve().parent.parent / "src"
    problems = []
    for path in sorted(root.rglob("*.[ch]")):
        floor = path.relative_to(root).parts[0]
        for number, line in enumerate(path.read_text().splitlines(), 1):
            match = re.match(r'\s*#\s*include\s+"([a-z]+)/', line)
            if not match or match[1] not in FLOORS:
                continue
            if floor not in FLOORS:
                problems.append(f"{path}: the folder {floor} is not in the list of tools/floors.py")
                break
            if FLOORS.index(match[1]) > FLOORS.index(floor):
                problems.append(f"{path}:{number}: {floor}/ may not include {match[1]}/")
    print(*problems, sep="\n", end="\n" if problems else "")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
