"""The console with years of a large operator's records: how fast its pages are, and how large."""
