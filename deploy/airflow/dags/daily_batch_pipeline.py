"""The day's numbers at 01:30 UTC (10:30 in Seoul), for the UTC day that has just ended.

Every task is one call of `guardian`. Triggered by hand (UI, REST, `airflow dags trigger`), a run
takes any day or range: `{"first_day": "2014-04-07", "last_day": "2014-04-13"}`.
"""

from __future__ import annotations

import os
from datetime import timedelta

import pendulum
from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG, Param

# A run triggered without a logical date has no `ds`, and the `ds` of a scheduled one is the date
# on which it runs.
ENDED_DAY = "macros.ds_add((dag_run.logical_date or dag_run.run_after) | ds, -1)"
DAYS = {
    "FIRST_DAY": "{{ params.first_day or " + ENDED_DAY + " }}",
    "LAST_DAY": "{{ params.last_day or params.first_day or " + ENDED_DAY + " }}",
}
RANGE = '--from "$FIRST_DAY" --to "$LAST_DAY"'

with DAG(
    dag_id="daily_batch_pipeline",
    description="Metrics of the UTC day that has just ended, or of any days asked for.",
    doc_md=__doc__,
    schedule="30 1 * * *",
    start_date=pendulum.parse(os.environ["GUARDIAN_SCHEDULE_FROM"], tz="UTC").add(days=1),
    catchup=True,
    max_active_runs=1,
    default_args={
        "retries": 3,
        "retry_delay": timedelta(seconds=int(os.environ["GUARDIAN_AIRFLOW_RETRY_SECONDS"])),
        "env": DAYS,
        "append_env": True,
        "do_xcom_push": False,
    },
    params={
        "first_day": Param(
            None,
            type=["null", "string"],
            format="date",
            title="First day",
            description="A UTC day, such as 2014-04-07. Empty: the day before the run.",
        ),
        "last_day": Param(
            None,
            type=["null", "string"],
            format="date",
            title="Last day",
            description="The last day of a range, inclusive. Empty: the first day alone.",
        ),
    },
    tags=["guardian"],
):
    restate_dirty_days = BashOperator(
        task_id="restate_dirty_days",
        bash_command='guardian batch --dirty --before "$FIRST_DAY"',
        doc_md="Earlier days whose rows in the lake have changed since they were computed.",
    )
    daily_metrics, *families = (
        BashOperator(task_id=name, bash_command=f"guardian batch {RANGE} --metric {name}")
        for name in ("daily_metrics", "session_funnel", "popular_items", "popular_categories")
    )
    verify = BashOperator(
        task_id="verify",
        bash_command=f"guardian verify {RANGE}",
        doc_md="Holds the stored numbers against the lake and against each other.",
    )
    restate_dirty_days >> daily_metrics >> families >> verify
