"""A small shop with seeded faults: what `make run` shows and the browser tests walk through."""
