"""Every metric of the system, each with a comment an operator can act on.

Labels are bounded: stage, lane, model, code, outcome. Never a job, a tenant, a URL or a key.
"""

from prometheus_client import Counter, Gauge, Histogram

from schemas.stages import Stage
from schemas.topics import Lane

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)

# Where the time goes. Compare the stages with one another: the widest is the one to widen.
STAGE_SECONDS = Histogram(
    "upscale_stage_duration_seconds", "Time spent in a stage by one job, waiting included.", ["stage"], buckets=SECONDS
)
# Jobs inside a stage now. One stage filling up while the next is empty: the first is the bottleneck.
STAGE_IN_PROGRESS = Gauge("upscale_stage_in_progress", "Jobs inside a stage.", ["stage"])
# A stage that works keeps moving this; alert when it stands still while jobs are in progress.
STAGE_LAST_SUCCESS = Gauge(
    "upscale_stage_last_success_timestamp_seconds", "Unix time of a stage's last success.", ["stage"]
)
# Why jobs fail, and where. `fault="system"` is ours and pages; `fault="caller"` does not.
STAGE_FAILURES = Counter("upscale_stage_failures_total", "Failures by stage and code.", ["stage", "code", "fault"])

# What leaves the system. The rate of status="failed" beside that of status="completed" is the error ratio.
JOBS = Counter("upscale_jobs_total", "Jobs that reached a terminal state.", ["status", "code", "lane", "model"])
# From intake to published event. The interactive lane has the objective; the bulk lane waits by design.
JOB_SECONDS = Histogram(
    "upscale_job_duration_seconds", "Time from intake to terminal event.", ["lane"], buckets=SECONDS
)
# Work accepted. Its rate times the cost per megapixel is the device you need.
SOURCE_MEGAPIXELS = Counter("upscale_source_megapixels_total", "Decoded source megapixels.", ["lane"])

# What intake holds. At the limit, consumption pauses: normal under load, an incident when it never resumes.
IN_FLIGHT_JOBS = Gauge("upscale_in_flight_jobs", "Jobs taken from Kafka and not yet finished.", ["lane"])
# At its budget while the device idles: pictures wait for something else than the device; look at the slowest stage.
IN_FLIGHT_PIXELS = Gauge("upscale_in_flight_pixels", "Source pixels held in memory.")
# At its budget with few pixels held: fetched files pile up before the decoder; give it more processes.
IN_FLIGHT_BYTES = Gauge("upscale_in_flight_bytes", "Source bytes held in memory.")
# 1 while consumption is paused because a budget is full.
INTAKE_PAUSED = Gauge("upscale_intake_paused", "Whether intake is paused.", ["lane"])

# Tiles a launch carries. Near the limit under backlog; near 1 under backlog means that shapes do not match.
BATCH_TILES = Histogram(
    "upscale_batch_size", "Tiles per device launch.", ["model"], buckets=(1, 2, 3, 4, 6, 8, 12, 16, 24, 32)
)
# Pictures a launch mixes. Above 1 is what this product is for.
BATCH_JOBS = Histogram("upscale_batch_jobs", "Jobs per device launch.", ["model"], buckets=(1, 2, 3, 4, 6, 8, 16))
# One launch on the device. Latency of everything behind it; keep it well under the interactive objective.
BATCH_SECONDS = Histogram("upscale_batch_duration_seconds", "Time of one device launch.", ["model"], buckets=SECONDS)
# Tiles waiting for the device.
QUEUED_TILES = Gauge("upscale_queued_tiles", "Tiles waiting for the device.", ["lane"])
# Tiles upscaled; with the window size, the device's real throughput.
TILES = Counter("upscale_tiles_total", "Tiles upscaled.", ["model"])
# The batch was too large for the memory left and was halved. Rising: lower the batch limit or the tile size.
OUT_OF_MEMORY = Counter("upscale_device_out_of_memory_total", "Launches that ran out of device memory.")
# Tiles that came out as NaN and were computed again in fp32. Rising: this device should run fp32 or bf16.
FP32_FALLBACKS = Counter("upscale_fp32_fallback_total", "Tiles recomputed in fp32 after a NaN.", ["model"])

# Networks in memory, a denoising strength of its own counting as one. Falling and rising all day: see evictions.
MODELS_RESIDENT = Gauge("upscale_models_resident", "Networks in memory.")
# What their parameters take. At the budget with evictions: raise UPSCALE_DEVICE__MODEL_MEMORY_BYTES, or ask for fewer
# models of one worker.
MODELS_RESIDENT_BYTES = Gauge("upscale_models_resident_bytes", "Memory of the parameters of networks in memory.")
# How often a network is loaded, and what the jobs that need it wait for it. A second or two each is usual.
MODEL_LOAD_SECONDS = Histogram(
    "upscale_model_load_duration_seconds", "Time to find, verify and place a network.", ["model"], buckets=SECONDS
)
# Networks that left for another. A steady rate: callers alternate between more networks than the budget holds.
MODEL_EVICTIONS = Counter("upscale_model_evictions_total", "Networks that left memory for another.", ["model"])

# Jobs handed on to be tried again later. A steady rate of one reason: look at the service that the reason names.
RETRIES = Counter("upscale_retries_total", "Jobs handed to a retry topic.", ["reason", "tier"])
# Records of retry topics held until they are due.
WAITING_RETRIES = Gauge("upscale_waiting_retries", "Jobs waiting to be tried again.", ["lane"])
# 1 while a service that every job needs is away: intake is paused and jobs wait in hand. Nothing fails meanwhile.
BREAKER_OPEN = Gauge("upscale_breaker_open", "Whether a service we depend on is away.", ["service"])
# Jobs that were begun again after a worker died with them. Rising: workers die; the log of the last start says of what.
RESTARTS = Counter("upscale_job_restarts_total", "Jobs begun again after a worker died.")

# Records that could not be tied to a job. Any of them: a producer sends what nobody can read.
DEAD_LETTERS = Counter("upscale_dead_letters_total", "Records parked on the dead-letter topic.", ["topic", "reason"])
# Records on the control topic that are no cancellation. Any of them: somebody believes a job called off that is not.
# Each worker reads the whole topic, and again after it has lost the broker: compare with nothing, look at the log.
CONTROL_REFUSED = Counter("upscale_control_refused_total", "Records of the control topic not understood.", ["reason"])
# Committed offsets move while work finishes; still for long with work in flight means stuck.
LAST_COMMIT = Gauge("upscale_last_commit_timestamp_seconds", "Unix time of the last successful offset commit.")
# Requests before this worker, in its own partitions, what it holds included; add up over workers for the whole. Rising
# for interactive: add workers. Still while intake is paused, when nothing is fetched; partitions of nobody are missing:
# `upscale topics lag` asks the broker.
LAG_MESSAGES = Gauge("upscale_lag_messages", "Requests of this worker's partitions not yet finished.", ["lane"])
# The same as work: times the mean picture of the worker's last jobs. Absent until the lane's first job is done.
LAG_MEGAPIXELS = Gauge("upscale_lag_megapixels", "Source megapixels of those requests, estimated.", ["lane"])
# The same as time: how long the worker would take for this lane alone at its present speed. Scale by this one.
LAG_SECONDS = Gauge("upscale_lag_seconds", "Time that those requests will take, estimated.", ["lane"])
# Rebalances seen. A steady rate means members come and go, or a poll loop that is too slow.
REBALANCES = Counter("upscale_rebalances_total", "Partition assignments received.")
# Polls of the broker that raised. A steady rate with other partitions moving: one partition holds a record that cannot
# be read (the log names the error); with nothing moving: the broker is gone, and the worker gives up in the end.
POLL_FAILURES = Counter("upscale_poll_failures_total", "Polls of the broker that failed.")
# How attempts at webhooks end. `delivered` is what receivers take; `blocked` in numbers: somebody tries our network.
WEBHOOK_ATTEMPTS = Counter("upscale_webhook_attempts_total", "Attempts at webhooks by outcome.", ["outcome"])
# What a receiver sees of our speed, retries left out. Above 2 s with few attempts under way: database or broker.
WEBHOOK_FIRST_ATTEMPT_SECONDS = Histogram(
    "upscale_webhook_first_attempt_seconds",
    "Time from an event to the first attempt to tell it.",
    buckets=sorted((*SECONDS, 2)),  # the objective needs a bucket of its own
)
# How long the oldest due delivery of an endpoint that may be called has waited. Rising: start more dispatchers.
WEBHOOK_OLDEST_DUE_SECONDS = Gauge("upscale_webhook_oldest_due_seconds", "Age of the oldest delivery that is due.")
# Endpoints that are not called any more. Each of them has an owner to be told; `upscale webhooks list` names them.
WEBHOOK_DISABLED = Gauge("upscale_webhook_endpoints_disabled", "Endpoints that are disabled.")
# 1 while a dispatcher gets no answer from its database, whether there is anything to tell or not. When it is 1 at all
# of them nobody is told of anything.
DATABASE_AWAY = Gauge("upscale_database_away", "Whether the dispatcher's database is away.")

# How late the event loop runs. Above 50 ms something heavy runs on it; above 5 s the worker reports itself dead.
LOOP_LAG = Histogram(
    "upscale_event_loop_lag_seconds",
    "Delay of a timer on the event loop.",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.02, 0.03, 0.04, 0.05, 0.1, 0.25, 0.5, 1, 5),
)
# What runs here: device, precision and release.
BUILD_INFO = Gauge("upscale_build_info", "Always 1; the labels tell what runs.", ["version", "device", "precision"])


def declare_known_labels() -> None:
    """Create the series whose labels are known beforehand, so that a rate over them starts at zero."""
    for stage in Stage:
        STAGE_SECONDS.labels(stage)
        STAGE_IN_PROGRESS.labels(stage)
        STAGE_LAST_SUCCESS.labels(stage)
    for lane in Lane:
        JOB_SECONDS.labels(lane)
        IN_FLIGHT_JOBS.labels(lane)
        QUEUED_TILES.labels(lane)
        LAG_MESSAGES.labels(lane)
        SOURCE_MEGAPIXELS.labels(lane)
