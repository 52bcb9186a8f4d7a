"""What `box-agent selftest` looks at, room by room: this box, the named line, the anonymous line."""
