"""The role that upscales: from a received request to a stored result and a published event."""
