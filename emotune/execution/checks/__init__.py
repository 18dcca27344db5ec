"""What is checked before anything is spent."""
