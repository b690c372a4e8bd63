"""The one evaluator of rules: ``advance(state, arrivals) -> (state, anomalies)``.

Pure: no file, no server, no clock, no environment; hosted alike by the embedded engine, by a Kafka
consumer group and by Spark. State is kept per bucket, as columns.
"""
