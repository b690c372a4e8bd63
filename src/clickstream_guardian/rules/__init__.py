"""A detection rule is data: its model, its loader, and the catalogue of YAML files.

The vocabulary is closed: no code, no free expressions. This room knows events by their field
names only; how a rule is evaluated is the detector's business.
"""
