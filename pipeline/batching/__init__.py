"""Micro-batching of same-shape tiles across pictures. Knows tiles, classes, tenants and time; not GPUs."""
