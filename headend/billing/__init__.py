"""The identifiable half: who, and what was ordered."""
