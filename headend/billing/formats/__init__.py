"""Formats of an export batch: one file a format, found by itself."""
