"""Traffic for trying things out: a calibrated generator, and attacks with labels.

The room invents events and writes them as files; it knows the data set it imitates only by the
numbers of `parameters.json`, and nothing of the lake, the detector or the database.
"""
