"""Upkeep at 03:40 UTC: small files are merged, old snapshots forgotten, partitions made ahead.

Every task is one call of `guardian`; a missed night is made up for by the next.
"""

from __future__ import annotations

import os
from datetime import timedelta

import pendulum
from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG

with DAG(
    dag_id="lake_maintenance",
    description="Compaction, snapshot expiry, partitions of the database.",
    doc_md=__doc__,
    schedule="40 3 * * *",
    start_date=pendulum.parse(os.environ["GUARDIAN_SCHEDULE_FROM"], tz="UTC"),
    catchup=False,
    max_active_runs=1,
    default_args={
        "retries": 3,
        "retry_delay": timedelta(seconds=int(os.environ["GUARDIAN_AIRFLOW_RETRY_SECONDS"])),
        "append_env": True,
        "do_xcom_push": False,
    },
    tags=["guardian"],
):
    compact = BashOperator(task_id="compact", bash_command="guardian maintain compact")
    expire = BashOperator(task_id="expire", bash_command="guardian maintain expire")
    partitions = BashOperator(task_id="partitions", bash_command="guardian maintain partitions")
    compact >> expire
