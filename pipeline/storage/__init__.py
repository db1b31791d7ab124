"""Object storage and the door to the outside."""
