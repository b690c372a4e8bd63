"""Hosts of the detector and the metrics, one room per engine with the same file names in each."""
