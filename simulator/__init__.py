"""A town of households, real agents, a faulty network, adversaries, and the truth kept apart."""
