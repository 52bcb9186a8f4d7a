"""Capacity on paper: what a large installation needs, from measured costs and a simulated arrival curve."""
