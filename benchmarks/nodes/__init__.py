"""What a second node on one PostgreSQL brings, and what an order and a fragment cost there."""
