"""Billing's pages for the console: one room a thing that they are about."""
