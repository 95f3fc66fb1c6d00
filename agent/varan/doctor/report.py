"""The doctor's findings, and how they are printed."""

from __future__ import annotations

import json
import textwrap
from typing import NamedTuple

GOOD, NOTE, BAD = "ok", "note", "bad"
MARKS = {GOOD: "✓", NOTE: "·", BAD: "✗"}
COLOURS = {GOOD: "\x1b[32m", NOTE: "\x1b[2m", BAD: "\x1b[31m"}
BOLD, DIM, PLAIN = "\x1b[1m", "\x1b[2m", "\x1b[0m"

WHAT_WIDTH_MAX = 34  # of the column with names; longer ones push their line to the right
WIDTH_MIN = 40


class Item(NamedTuple):
    state: str
    what: str
    why: str  # details, or the reason
    do: str  # what to do about it


class Report:
    def __init__(self) -> None:
        self.parts: list[tuple[str, list[Item]]] = []
        self.obstacles: list[str] = []  # why nothing would be seen
        self.command: list[str] = []

    @property
    def good(self) -> bool:
        return not self.obstacles

    def part(self, title: str) -> None:
        self.parts.append((title, []))

    def add(self, state: str, what: str, why: str = "", do: str = "") -> None:
        self.parts[-1][1].append(Item(state, what, why, do))

    def obstacle(self, what: str, why: str, do: str = "") -> None:
        """Something for which the agent would see nothing at all."""
        self.add(BAD, what, why, do)
        self.obstacles.append(f"{what}: {why}" if why else what)

    def conclude(self, words: list[str]) -> None:
        self.command = words

    def verdict(self) -> str:
        if self.obstacles:
            return "Nothing would be seen of this program. " + "; ".join(self.obstacles)
        bad = sum(item.state == BAD for _, items in self.parts for item in items)
        if bad:
            return (
                f"The agent would run in this program; {bad} thing{'s' * (bad > 1)} to look at (✗)"
            )
        return "The agent would run in this program"

    def json(self) -> str:
        parts = {title: [item._asdict() for item in items] for title, items in self.parts if items}
        whole = {
            "instrumented": self.good,
            "verdict": self.verdict(),
            "command": self.command,
            "parts": parts,
        }
        return json.dumps(whole, indent=2, ensure_ascii=False) + "\n"

    def text(self, width: int = 0, colours: bool = False) -> str:
        """`width`: of the terminal, 0 when there is none: lines are as long as they are."""
        lines: list[str] = []
        for title, items in self.parts:
            if not items:
                continue
            lines.append(f"{BOLD}{title}{PLAIN}" if colours else title)
            column = max((len(i.what) for i in items if i.why), default=0)
            column = min(column, WHAT_WIDTH_MAX)
            for item in items:
                lines += _lines(item, column, width, colours)
            lines.append("")
        mark = GOOD if self.good else BAD
        lines += _lines(Item(mark, self.verdict(), "", ""), 0, width, colours, "")
        return "\n".join(lines) + "\n"


def _lines(item: Item, column: int, width: int, colours: bool, indent: str = "  ") -> list[str]:
    mark = MARKS[item.state]
    if colours:
        mark = f"{COLOURS[item.state]}{mark}{PLAIN}"
    what = item.what if not item.why else f"{item.what:{column}}  "
    hang = indent + "  " + " " * (column + 2 if item.why else 0)
    pieces = _wrap(
        item.why or item.what, len(indent) + 2 + (len(what) if item.why else 0), hang, width
    )
    if colours and item.why:
        pieces = [f"{DIM}{piece}{PLAIN}" for piece in pieces]
    first = f"{indent}{mark} {what}{pieces[0]}" if item.why else f"{indent}{mark} {pieces[0]}"
    lines = [first.rstrip(), *(hang + piece for piece in pieces[1:])]
    if item.do:
        arrow = indent + "  → "
        pieces = _wrap(item.do, len(arrow), indent + "    ", width)
        lines += [arrow + pieces[0], *(indent + "    " + piece for piece in pieces[1:])]
    return lines


def _wrap(text: str, used: int, hang: str, width: int) -> list[str]:
    """The text's lines: the first has `used` columns before it, the others `hang`."""
    if width < WIDTH_MIN or used + len(text) <= width:
        return [text]
    room = max(width - len(hang), 20)
    pieces = textwrap.wrap(
        text, room, initial_indent=" " * max(0, used - len(hang)), break_long_words=False,
        break_on_hyphens=False,
    )  # fmt: skip
    return [pieces[0].lstrip(), *pieces[1:]] if pieces else [text]
