"""The data lake: Iceberg tables ``raw.clicks``, ``raw.purchases``, ``raw.rejected``.

This room lands raw rows once and for good, says what has been landed (files, counts, source
positions) and keeps the tables small in files and metadata. It knows nothing of rules, metrics
or where rows come from. Whoever writes holds the home's writer lock; readers need none.
"""
