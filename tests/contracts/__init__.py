"""What every engine of a store must do alike."""
