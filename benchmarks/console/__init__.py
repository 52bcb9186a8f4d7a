"""How fast the console answers with many orders, accounts and releases loaded."""
