"""The headend: billing, analytics and console, three sides that do not know each other."""
