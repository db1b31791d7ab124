"""The only room that imports aiokafka."""
