"""What a unit of work costs as an installation grows: in boxes, and in weeks of history."""
