"""Events on Kafka: topics, schemas, and the producers that put files on the log.

The one room that imports ``confluent_kafka``.
"""
