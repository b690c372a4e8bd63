"""The cluster profile's hosts: the detector and the metrics inside Spark.

The one room that imports ``pyspark``.
"""
