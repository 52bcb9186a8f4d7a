"""What the sides share: frame, HTTP, storage, jobs."""
