"""What the agent weighs on a box: the parts of `benchmarks.boxweight`."""
