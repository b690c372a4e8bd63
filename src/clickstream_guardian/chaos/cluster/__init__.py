"""Failures of the cluster's servers: a stack of its own, a steady load, a fault in it."""
