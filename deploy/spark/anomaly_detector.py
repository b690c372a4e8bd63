"""Detection on Spark for spark-submit: `spark-submit deploy/spark/anomaly_detector.py [options]`.

Options are those of `guardian detect`. After `eval "$(guardian stack env)"` it runs on the stack's
Spark; on another cluster give `--master`, and the jars of `guardian stack` by `--jars`.
"""

import sys

from clickstream_guardian.cli import main

sys.argv[1:1] = ["detect", "--engine", "spark"]
main()
