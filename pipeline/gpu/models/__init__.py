"""What networks there are, and where their parameters come from."""
