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

    how = os.environ.pop("VARAN_DOCTOR", "")
    if how:
        from varan import doctor

        doctor.run(how)
    varan.start()


try:
    _chain()
except Exception:
    # As the interpreter does for an error in sitecustomize: tell, go on.
    import traceback

    traceback.print_exc()
try:
    _start()
except Exception as error:
    try:
        # Old interpreters read this file too: no f-string.
        sys.stderr.write("varan: the agent is off: %s: %s\n" % (type(error).__name__, error))  # noqa: UP031
    except Exception:
        pass
