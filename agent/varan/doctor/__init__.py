"""What the agent would do in this program: `varan doctor -- CMD` starts CMD with VARAN_DOCTOR set, and the first Python
process of the application reports here instead of running it.

VARAN_DOCTOR is FORMAT:WIDTH:COLOURS:FILE. The report goes to FILE: a byte that says whether the program can be
instrumented (`1` or `0`), the text, and a byte 0, as other processes may hold the file open."""

from __future__ import annotations

import os
import sys

from .report import Report

END = b"\0"


def examine() -> Report:
    from . import libraries, others, program, python, settings

    report = Report()
    words = program.words()
    program.look(report, words)
    python.look(report)
    in_force = settings.look(report)
    libraries.look(report, in_force)
    libraries.look_at_contrib(report, in_force)
    others.look(report)
    report.conclude(words)
    return report


def _quietly() -> Report:
    """Libraries print and warn when they are imported; that is not the report."""
    import warnings

    warnings.simplefilter("ignore")
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        return examine()
    finally:
        os.dup2(kept, 2)


def run(how: str) -> None:
    """Writes the report and ends the process; comes back in programs that only start the application's Python."""
    from . import program

    if program.is_launcher(program.words()):
        return
    os.environ.pop("VARAN_DOCTOR", None)
    status = 0
    try:
        form, width, colours, path = how.split(":", 3)
        report = _quietly()
        text = report.json() if form == "json" else report.text(int(width), colours == "1")
        data = b"01"[report.good : report.good + 1] + text.encode("utf-8", "replace") + END
        fd = os.open(path, os.O_WRONLY)
        while data:
            data = data[os.write(fd, data) :]
    except BaseException as error:
        sys.stderr.write(f"varan doctor: the report failed: {type(error).__name__}: {error}\n")
        status = 1
    os._exit(status)
