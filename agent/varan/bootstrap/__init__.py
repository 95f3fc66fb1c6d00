"""The folder for PYTHONPATH: see sitecustomize.py."""
