"""The embedded profile's hosts: the detector and the metrics in this process, DuckDB and Arrow."""
