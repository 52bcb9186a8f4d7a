"""Load: an open-loop generator in a process of its own, and what it sends a real headend; `make load`."""
