"""Compute `popular_items` of a UTC day, or of a range, on Spark.

Run: `eval "$(guardian stack env)"`, then `spark-submit deploy/spark/popular_items.py 2014-04-07`,
or with `--from 2014-04-01 --to 2014-04-30`, or any other option of `guardian batch`.
"""

import sys

from clickstream_guardian.cli import main

if __name__ == "__main__":
    main(["batch", "--engine", "spark", "--metric", "popular_items", *sys.argv[1:]])
