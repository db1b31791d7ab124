"""What the dashboard shows, top to bottom: outcome, each stage in path order, then what lies beside the path."""

from ops.grafana.panels import Panel, Query, Row
from ops.grafana.queries import age, by, mean, most, percentile, percentiles, rate, select, total
from schemas.stages import Stage


def rows() -> tuple[Row, ...]:
    """All rows of the dashboard. `deliver` is not a stage of the worker: the webhooks have a row of their own."""
    stages = (_stage(stage) for stage in Stage if stage is not Stage.DELIVER)
    return (
        _outcome(),
        _path(),
        *stages,
        _batching(),
        _device(),
        _models(),
        _intake(),
        _lag(),
        _kafka(),
        _trying_again(),
        _webhooks(),
        _failures(),
    )


def _outcome() -> Row:
    ours = rate("upscale_stage_failures_total", "fault", 'fault="system"')
    jobs = f"scalar(sum(rate({select('upscale_jobs_total')}[$__rate_interval])))"
    interactive = percentiles("upscale_job_duration_seconds", 'lane="interactive"')
    megapixels = by("lane", rate("upscale_source_megapixels_total", "lane"))
    panels = (
        Panel("Jobs finished", "By their end.", "ops", (by("status", rate("upscale_jobs_total", "status")),)),
        Panel("Failures of our own", "Per job; above 1 % pages.", "percentunit", (Query(f"{ours} / {jobs}", "ratio"),)),
        Panel("Interactive jobs", "From intake to published event.", "s", interactive),
        Panel("Work taken", "Source megapixels per second.", "none", (megapixels,)),
    )
    return Row("Outcome", panels)


def _path() -> Row:
    busy = by("stage", rate("upscale_stage_duration_seconds_sum", "stage"))
    inside = by("stage", total("upscale_stage_in_progress", "stage"))
    panels = (
        Panel("Where the time goes", "Job seconds per second; widen the widest stage.", "none", (busy,), stacked=True),
        Panel("Jobs inside each stage", "One fills while the next is empty: there.", "none", (inside,), stacked=True),
    )
    return Row("The path", panels)


def _stage(stage: Stage) -> Row:
    this = f'stage="{stage}"'
    passed = by("stage", rate("upscale_stage_duration_seconds_count", "stage", this))
    failures = by("code", rate("upscale_stage_failures_total", "code", this))
    last = by("stage", age("upscale_stage_last_success_timestamp_seconds", "stage", this))
    duration = percentiles("upscale_stage_duration_seconds", this)
    panels = (
        Panel("Duration", "Of one job, waiting included.", "s", duration),
        Panel("Passed", "Jobs per second.", "ops", (passed,)),
        Panel("Failures", "By code.", "ops", (failures,)),
        Panel("Since the last success", "Grows while idle or stuck.", "s", (last,)),
    )
    return Row(f"Stage: {stage}", panels, collapsed=True)


def _batching() -> Row:
    tiles = by("model", mean("upscale_batch_size", "model"))
    jobs = by("model", mean("upscale_batch_jobs", "model"))
    queued = by("lane", total("upscale_queued_tiles", "lane"))
    done = by("model", rate("upscale_tiles_total", "model"))
    panels = (
        Panel("Tiles per launch", "Near the limit under backlog.", "none", (tiles,)),
        Panel("Jobs per launch", "Above 1: pictures share launches.", "none", (jobs,)),
        Panel("Tiles waiting", "For the device.", "none", (queued,)),
        Panel("Tiles upscaled", "Per second.", "ops", (done,)),
    )
    return Row("Batching", panels)


def _device() -> Row:
    again = (
        Query(rate("upscale_device_out_of_memory_total", "instance"), "out of memory {{instance}}"),
        Query(rate("upscale_fp32_fallback_total", "model"), "fp32 {{model}}"),
    )
    lag = by("instance", percentile("upscale_event_loop_lag_seconds", 99, by="instance"))
    build = total("upscale_build_info", "version, device, precision")
    panels = (
        Panel("One launch", "Everything waits behind it.", "s", percentiles("upscale_batch_duration_seconds")),
        Panel("Done again", "Launches halved, tiles repeated in fp32.", "ops", again),
        Panel("Event loop lag", "99th percentile; above 50 ms something heavy runs on it.", "s", (lag,)),
        Panel("What runs", "Processes of each kind.", "none", (Query(build, "{{version}} {{device}} {{precision}}"),)),
    )
    return Row("Device", panels)


def _models() -> Row:
    resident = by("instance", total("upscale_models_resident", "instance"))
    memory = by("instance", total("upscale_models_resident_bytes", "instance"))
    loading = by("model", mean("upscale_model_load_duration_seconds", "model"))
    turns = (
        Query(rate("upscale_model_load_duration_seconds_count", "model"), "loaded {{model}}"),
        Query(rate("upscale_model_evictions_total", "model"), "left {{model}}"),
    )
    panels = (
        Panel("Networks in memory", "", "none", (resident,)),
        Panel("Memory of networks", "At the budget with networks leaving: raise it.", "bytes", (memory,)),
        Panel("Loaded and left", "A steady rate: callers alternate between more than fit.", "ops", turns),
        Panel("One load", "Jobs that need the network wait for it.", "s", (loading,)),
    )
    return Row("Models", panels)


def _intake() -> Row:
    paused = by("lane", total("upscale_intake_paused", "lane"))
    panels = (
        Panel("Jobs held", "Taken and not finished.", "none", (by("lane", total("upscale_in_flight_jobs", "lane")),)),
        Panel("Pixels held", "", "none", (by("instance", total("upscale_in_flight_pixels", "instance")),)),
        Panel("Bytes held", "", "bytes", (by("instance", total("upscale_in_flight_bytes", "instance")),)),
        Panel("Paused", "1 while a budget is full: an incident only when it never ends.", "none", (paused,)),
    )
    return Row("Intake", panels)


def _kafka() -> Row:
    commit = by("instance", age("upscale_last_commit_timestamp_seconds", "instance"))
    rebalances = by("instance", rate("upscale_rebalances_total", "instance"))
    polls = by("instance", rate("upscale_poll_failures_total", "instance"))
    dead = Query(rate("upscale_dead_letters_total", "topic, reason"), "{{topic}} {{reason}}")
    refused = by("reason", rate("upscale_control_refused_total", "reason"))
    panels = (
        Panel("Since the last commit", "Grows while idle or stuck.", "s", (commit,)),
        Panel("Polls that failed", "With nothing else moving, the broker is gone.", "ops", (polls,)),
        Panel("Partition assignments", "A steady rate: members come and go.", "ops", (rebalances,)),
        Panel("Dead letters", "Records that could not be tied to a job.", "ops", (dead,)),
        Panel("Control records refused", "Somebody believes a job called off that is not.", "ops", (refused,)),
    )
    return Row("Kafka", panels)


def _lag() -> Row:
    messages, megapixels = (by("lane", total(f"upscale_lag_{unit}", "lane")) for unit in ("messages", "megapixels"))
    longest = by("lane", most("upscale_lag_seconds", "lane"))
    panels = (
        Panel("Requests behind", "Not yet finished, those in work included.", "none", (messages,), stacked=True),
        Panel("Megapixels behind", "By the mean of the last jobs.", "none", (megapixels,), stacked=True),
        Panel("Work behind", "Of the worker that has most, at its present speed.", "s", (longest,)),
    )
    return Row("Lag", panels)


def _trying_again() -> Row:
    handed_on = Query(rate("upscale_retries_total", "reason, tier"), "{{reason}} {{tier}}")
    waiting = by("lane", total("upscale_waiting_retries", "lane"))
    away = by("service", total("upscale_breaker_open", "service"))
    restarts = by("instance", rate("upscale_job_restarts_total", "instance"))
    panels = (
        Panel("Handed on", "To a retry topic, by reason.", "ops", (handed_on,)),
        Panel("Waiting", "Until they are due.", "none", (waiting,)),
        Panel("Services away", "Workers that wait for one; nothing fails meanwhile.", "none", (away,)),
        Panel("Begun again", "After a worker died with the job.", "ops", (restarts,)),
    )
    return Row("Trying again", panels)


def _webhooks() -> Row:
    attempts = by("outcome", rate("upscale_webhook_attempts_total", "outcome"))
    under_way = by("instance", total("upscale_stage_in_progress", "instance", 'stage="deliver"'))
    # Every dispatcher asks the same database.
    oldest = Query(most("upscale_webhook_oldest_due_seconds", "job"), "oldest")
    disabled = Query(most("upscale_webhook_endpoints_disabled", "job"), "disabled")
    away = by("instance", total("upscale_database_away", "instance", 'job="upscale-dispatcher"'))
    first = percentiles("upscale_webhook_first_attempt_seconds")
    panels = (
        Panel("Attempts", "By what came of them.", "ops", (attempts,)),
        Panel("First attempt", "From the event; above 2 s for one in twenty breaks the promise.", "s", first),
        Panel("Oldest due", "Of endpoints that may be called; above 5 min pages.", "s", (oldest,)),
        Panel("Under way", "Of each dispatcher; at its limit, receivers are slow.", "none", (under_way,)),
        Panel("Endpoints disabled", "Not called until somebody enables them.", "none", (disabled,)),
        Panel("Database away", "From which dispatcher; from all of them pages.", "none", (away,)),
    )
    return Row("Webhooks", panels)


def _failures() -> Row:
    fault = by("fault", rate("upscale_stage_failures_total", "fault"))
    code = Query(rate("upscale_stage_failures_total", "stage, code"), "{{stage}} {{code}}")
    ends = Query(rate("upscale_jobs_total", "status, code", 'status!="completed"'), "{{status}} {{code}}")
    panels = (
        Panel("By fault", "Only system is ours.", "ops", (fault,), stacked=True),
        Panel("By stage and code", "", "ops", (code,)),
        Panel("Jobs that did not complete", "", "ops", (ends,)),
    )
    return Row("Failures", panels)
