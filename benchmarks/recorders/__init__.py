"""Recorders of events, ours and others', each measured in a process of its own by `benchmarks.peers`."""
