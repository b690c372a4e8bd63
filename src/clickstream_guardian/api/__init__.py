"""Serves what the database holds: read-only JSON over HTTP, and a stream of changes.

One file per noun (``anomalies``, ``daily``, ``items``, ``status``) has its routes; ``app`` puts
them together, ``server`` runs it. This room asks PostgreSQL only, by the queries of
``store.read_*``, and may not write.
"""
