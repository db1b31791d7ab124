"""Broker and store for one machine; never imported by a role."""
