"""Pictures as arrays: the same input gives the same output. No asyncio, no torch, no network."""
