"""Profiles as files: every format that is written, read again; filters; comparing two; the page's panels."""

from __future__ import annotations

import json
import pstats
import re
import xml.etree.ElementTree as xml
from pathlib import Path

import pytest
from browser import PATIENCE_MS, browser
from playwright.sync_api import expect
from test_profile import SPLIT, Program, line_of, read_collapsed, record, varan

__all__ = ["browser"]  # the fixture

READABLE = ("html", "pb.gz", "speedscope.json", "trace.json", "pstats", "txt")


def convert(source: Path, target: Path, *words: str) -> None:
    done = varan("convert", *words, str(source), str(target))
    assert done.returncode == 0, done.stderr


def share(own: dict[str, int], function: str) -> float:
    return own.get(function, 0) / sum(own.values())


def test_every_format_can_be_read_again(tmp_path):
    """The shares of functions survive a way through any format."""
    with Program(tmp_path, SPLIT) as program:
        record(program.pid, tmp_path / "first.pb.gz", cpu_s=1)
    convert(tmp_path / "first.pb.gz", tmp_path / "first.txt")
    expected = read_collapsed(tmp_path / "first.txt")
    for extension in READABLE:
        convert(tmp_path / "first.pb.gz", tmp_path / f"x.{extension}")
        convert(tmp_path / f"x.{extension}", tmp_path / f"from.{extension}.txt")
        own = read_collapsed(tmp_path / f"from.{extension}.txt")
        for function in ("three", "one"):
            assert share(own, function) == pytest.approx(share(expected, function), abs=0.01)
        text = (tmp_path / f"from.{extension}.txt").read_text()
        assert re.search(r"<module> \([^;]*\);main \([^;]*\);three \(", text), extension


def test_pstats_and_svg(tmp_path):
    with Program(tmp_path, SPLIT) as program:
        record(program.pid, tmp_path / "p.pstats", cpu_s=1)
        record(program.pid, tmp_path / "p.svg")
    stats = pstats.Stats(str(tmp_path / "p.pstats"))
    rows = {name: row for (_, _, name), row in stats.stats.items()}
    own, total = rows["three"][2], rows["main"][3]
    assert 0.4 < own / total < 0.95
    assert [name for _, _, name in rows["three"][4]] == ["main"]
    root = xml.parse(tmp_path / "p.svg").getroot()
    titles = [e.text for e in root.iter("{http://www.w3.org/2000/svg}title")]
    assert any(t.startswith("three (") and "samples" in t for t in titles)


def test_filters(tmp_path):
    target = tmp_path / "out.txt"
    with Program(tmp_path, SPLIT.replace("target=waits", "target=waits, name='näpper'")) as program:
        record(program.pid, target, "--include", "^three$")
        assert set(read_collapsed(target)) == {"three"}
        record(program.pid, target, "--exclude", "^three$")
        assert "one" in read_collapsed(target) and "three" not in target.read_text()
        record(program.pid, target, "--idle", "--thread", "pper$")
        assert set(read_collapsed(target)) == {"waits"}
        record(program.pid, target, "--idle", "--threads", "--function")
        lines = target.read_text().splitlines()
        assert any(line.startswith("näpper (process ") and "waits (" in line for line in lines)
        assert not re.search(r"\.py:\d", target.read_text())
        done = varan("record", "--pid", program.pid, "--include", "(", "-o", str(target))
        assert done.returncode == 2 and "regular expression" in done.stderr


def test_diff(tmp_path):
    changed = SPLIT.replace("three(2000)", "one(14000)")
    for name, source in (("before.txt", SPLIT), ("after.pb.gz", changed)):
        with Program(tmp_path, source) as program:
            record(program.pid, tmp_path / name, cpu_s=1)
    done = varan(
        *("diff", "-o", str(tmp_path / "d.html")),
        *(str(tmp_path / "before.txt"), str(tmp_path / "after.pb.gz")),
    )
    assert done.returncode == 0, done.stderr
    rows = {line.split("  ")[-1].split(" (")[0]: line for line in done.stdout.splitlines()[1:]}
    assert float(re.findall(r"[+-][\d.]+(?=%)", rows["one"])[0]) > 50
    assert float(re.findall(r"[+-][\d.]+(?=%)", rows["three"])[0]) < -50
    page = (tmp_path / "d.html").read_text()
    data = json.loads(re.search(r'id="data">(.*?)</script>', page, re.S)[1])
    assert data["base"] and data["counts"]


def test_diff_of_threads(tmp_path):
    """Threads have other numbers in each run: with them nothing of two profiles would be the same."""
    before, after = tmp_path / "before.txt", tmp_path / "after.txt"
    before.write_text("main (a.py);work (a.py) 60\nmain (a.py);rest (a.py) 40\n")
    after.write_text(
        "worker (process 12, thread 34);main (a.py);work (a.py) 30\n"
        "other (process 12, thread 35);main (a.py);work (a.py) 30\n"
        "worker (process 12, thread 34);main (a.py);rest (a.py) 40\n"
    )
    assert varan("convert", str(after), str(tmp_path / "after.pb.gz")).returncode == 0
    for second in (after, tmp_path / "after.pb.gz"):
        done = varan("diff", "-o", str(tmp_path / "d.html"), str(before), str(second))
        assert done.returncode == 0 and "compared together" in done.stderr, done.stderr
        rows = done.stdout.splitlines()[1:]
        assert len(rows) == 3 and "thread" not in done.stdout
        assert all(re.findall(r"[+-][\d.]+(?=%)", row) == ["+0.0", "+0.0"] for row in rows)


def test_nothing_left_is_said(tmp_path):
    target = tmp_path / "out.txt"
    with Program(tmp_path, SPLIT) as program:
        done = varan("record", str(program.pid), "--duration", "1s", "-o", str(target),
                     "--thread", "nobody")  # fmt: skip
        assert done.returncode == 1 and "--thread" in done.stderr, done.stderr
        assert not target.exists()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "empty"),
        (b"no stack\n", "no profile"),
        (b"main 1\nno stack\n", "line 2"),
        (b"{}", "neither"),
        (b'{"profiles": [{"samples": [[5]], "weights": [1], "type": "sampled"}]}', "frame"),
        (b"<!doctype html><p>", "no profile"),
        (b"\x1f\x8b\x08\x00broken", "gzip"),
        (b"{(\x03\x00\x00\x00", "pstats"),
        (b"\x0a\x02\x08", ""),
    ],
)
def test_broken_files_are_refused(tmp_path, content, says):
    (tmp_path / "in").write_bytes(content)
    done = varan("convert", str(tmp_path / "in"), str(tmp_path / "out.txt"))
    assert done.returncode == 1 and says in done.stderr, done.stderr
    assert str(tmp_path / "in") in done.stderr


def test_page_shows_callers_source_and_changes(browser, tmp_path):
    problems = []
    with Program(tmp_path, SPLIT) as program:
        record(program.pid, tmp_path / "p.html")
        record(program.pid, tmp_path / "q.txt")
    assert (
        varan(
            "diff",
            "-o",
            str(tmp_path / "d.html"),
            str(tmp_path / "q.txt"),
            str(tmp_path / "p.html"),
        ).returncode
        == 0
    )
    page = browser.new_page(viewport={"width": 1200, "height": 700})
    page.set_default_timeout(PATIENCE_MS)
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.goto((tmp_path / "p.html").as_uri())
    page.locator("#rows tr", has_text="three").first.click()
    expect(page.locator("#focused")).to_have_text("three")
    line = page.locator("#source div", has_text="x += i").first
    expect(line).to_contain_text("%")
    expect(line).to_contain_text(str(line_of(SPLIT, "x += i") - 6))
    box = page.locator("#canvas").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 10)
    expect(page.locator("#tip b")).to_have_text("<module>")  # the outermost caller
    page.keyboard.press("Escape")
    expect(page.locator("#focus")).to_be_hidden()
    page.goto((tmp_path / "d.html").as_uri())
    expect(page.locator("#change")).to_be_visible()
    expect(page.locator("#rows tr", has_text="three").first).to_contain_text("%")
    page.click("#before")
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 30)
    expect(page.locator("#tip")).to_contain_text("after")
    page.close()
    assert problems == []
