"""The servers of the cluster profile, started, checked and stopped natively.

Kafka (three KRaft brokers), Schema Registry, Kafka Connect, S3 and PostgreSQL run under one
supervisor below ``<home>/stack``. This room knows how to run servers; what flows through them is
the matter of ``sources/kafka`` and ``lake``.
"""
