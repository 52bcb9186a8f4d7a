"""What is written about the processing, made from what the system declares: checks, explanations, records."""
