"""Routes that frameworks know as regular expressions, as people would write them."""

from __future__ import annotations

import re

GROUP = re.compile(r"\((?:\?P<(\w+)>|\?:)?")


def plain_route(pattern: str) -> str:
    """^old/(?P<id>\\d+)/(a|b)$ → old/<id>/<var>"""
    out: list[str] = []
    at = 0
    while at < len(pattern):
        group = GROUP.match(pattern, at)
        if group:
            depth, at = 1, group.end()
            while at < len(pattern) and depth:
                depth += (pattern[at] == "(") - (pattern[at] == ")")
                at += 2 if pattern[at] == "\\" else 1
            out.append(f"<{group[1] or 'var'}>")
        elif pattern[at] == "\\" and at + 1 < len(pattern):
            out.append("" if pattern[at + 1] in "AZbB" else pattern[at + 1])
            at += 2
        else:
            out.append("" if pattern[at] in "^$?" else pattern[at])
            at += 1
    return "".join(out)
