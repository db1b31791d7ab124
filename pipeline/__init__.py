"""What is done: all the Python that runs in production."""

__version__ = "0.1.0"
