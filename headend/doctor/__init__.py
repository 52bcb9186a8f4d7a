"""What `headend doctor` looks at: an installation as it lies, read and never written."""
