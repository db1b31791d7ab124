"""All rows of the matrix."""

from tests.fault.matrix.broker_rows import ROWS as BROKER_ROWS
from tests.fault.matrix.job_rows import ROWS as JOB_ROWS
from tests.fault.matrix.store_rows import ROWS as STORE_ROWS
from tests.fault.matrix.worker_rows import ROWS as WORKER_ROWS
from tests.fault.matrix.world_rows import ROWS as WORLD_ROWS

ROWS = {row.number: row for row in (*WORKER_ROWS, *JOB_ROWS, *BROKER_ROWS, *STORE_ROWS, *WORLD_ROWS)}
"""By number."""
