"""The role that tells callers over HTTP what became of their jobs."""
