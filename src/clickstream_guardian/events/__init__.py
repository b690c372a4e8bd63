"""What an event is: its fields, its identity, and how bytes become an event or a rejection.

One field table per kind of event; every schema (Avro, Arrow, Spark, JSON) is derived from it.
Pure: this room knows no file, no server and no clock.
"""
