"""The command line, a file a subject; each command is a thin call."""
