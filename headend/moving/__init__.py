"""Moving an installation's databases from SQLite files to PostgreSQL, once and in one direction."""
