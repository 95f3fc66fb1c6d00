"""Starts the agent in any Python process that has this folder on PYTHONPATH. Runs the user's own sitecustomize first,
and never lets an error out."""

import os
import sys


def _chain():
    """Runs the sitecustomize that this one hides, under its own name."""
    import importlib.machinery
    import importlib.util

    here = os.path.dirname(os.path.abspath(__file__))
    paths = [path for path in sys.path if os.path.abspath(path or ".") != here]
    spec = importlib.machinery.PathFinder.find_spec("sitecustomize", paths)
    if spec is None or spec.loader is None:
        return
    module = importlib.util.module_from_spec(spec)
    sys.modules["sitecustomize"] = module
    spec.loader.exec_module(module)


def _start():
    try:
        import varan
    except ImportError:
        # Not installed in this interpreter: the package lies two folders up. Last on the path, so that it hides nothing.
        root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
        sys.path.append(root)
        import varan

    how = os.environ.get("VARAN_DOCTOR")
    if how:
        from varan import doctor

        doctor.run(how)
    else:
        varan.start()


def _refuse(how, error):
    """The doctor's report where not even the doctor can be imported. Old interpreters read this, too."""
    import json

    version = ".".join(str(n) for n in sys.version_info[:3])
    why = "%s: the agent does not import: %s" % (type(error).__name__, error)  # noqa: UP031
    if sys.version_info < (3, 9):  # noqa: UP036
        why = "Python %s is too old for the agent; 3.9 is the oldest that it knows" % version  # noqa: UP031
    text = "Nothing would be seen of this program. %s (%s)\n" % (why, sys.executable)  # noqa: UP031
    if how.startswith("json:"):
        text = json.dumps({"instrumented": False, "verdict": text.strip(), "parts": {}}) + "\n"
    fd = os.open(how.split(":", 3)[3], os.O_WRONLY)
    os.write(fd, b"0" + text.encode("utf-8") + b"\0")
    os._exit(0)


try:
    _chain()
except Exception:
    # As the interpreter does for an error in sitecustomize: tell, go on.
    import traceback

    traceback.print_exc()
try:
    _start()
except Exception as error:
    if os.environ.get("VARAN_DOCTOR"):
        _refuse(os.environ["VARAN_DOCTOR"], error)
    try:
        # Old interpreters read this file too: no f-string.
        sys.stderr.write("varan: the agent is off: %s: %s\n" % (type(error).__name__, error))  # noqa: UP031
    except Exception:
        pass
