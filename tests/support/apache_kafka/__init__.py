"""Apache Kafka itself, from the jars its project publishes, as a server of the tests."""
