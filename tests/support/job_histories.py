"""Hypothesis strategies for what may be heard of one job: few times and words, so that much of it coincides."""

from datetime import UTC, datetime
from hashlib import sha256

from hypothesis import strategies as st

from pipeline.state.jobs import JobRow, row_of
from schemas.callbacks import Webhook, WebhookEvent, WebhookMode
from schemas.events import (
    Event,
    JobData,
    UpscaleCanceled,
    UpscaleExpired,
    UpscaleProgress,
    UpscaleRequested,
    UpscaleStarted,
)
from schemas.stages import Stage
from tests.support.job_events import JOB, completed, failed

NOW = 1_767_225_600.0
"""2026-01-01, in Unix seconds."""

LABELS = st.dictionaries(st.sampled_from(["a", "\0", "ü"]), st.sampled_from(["", "1", "\0'"]), max_size=2)
WEBHOOKS = st.builds(
    Webhook,
    url=st.sampled_from(["https://one.example/x", "https://two.example/\0"]),
    mode=st.sampled_from(WebhookMode),
    events=st.none() | st.lists(st.sampled_from(WebhookEvent), min_size=1, max_size=2).map(tuple),
)
TIMES = st.integers(0, 3).map(lambda hours: datetime.fromtimestamp(NOW + 3600 * hours, UTC))

DATA: st.SearchStrategy[JobData] = st.one_of(
    st.builds(
        UpscaleRequested,
        job_id=st.just(JOB),
        source=st.just("https://example.com/a.png"),
        labels=LABELS,
        webhook=st.none() | WEBHOOKS,
    ),
    st.builds(UpscaleStarted, job_id=st.just(JOB), labels=LABELS),
    st.builds(
        UpscaleProgress,
        job_id=st.just(JOB),
        labels=LABELS,
        stage=st.just(Stage.BATCH),
        tiles_done=st.integers(0, 3),
        tiles_total=st.just(3),
    ),
    st.sampled_from([completed(), completed(width=60), failed(), failed("source: \0")]),
    st.builds(UpscaleCanceled, job_id=st.just(JOB), labels=LABELS),
    st.builds(UpscaleExpired, job_id=st.just(JOB), deadline=TIMES),
)


def event_of(data: JobData, time: datetime | None) -> Event:
    """One id stands for one content, as CloudEvents wants it. The ids mix the cases of their letters."""
    digest = sha256(f"{data.type} {data.model_dump_json()}".encode()).hexdigest()
    mixed = "".join(letter.upper() if position % 2 else letter for position, letter in enumerate(digest[:6]))
    return Event(id=f"{mixed}\0", source="/test", time=time, data=data)


EVENTS = st.builds(event_of, DATA, TIMES)
HISTORIES = st.lists(EVENTS, min_size=1, max_size=6)


def row_in(event: Event) -> JobRow:
    """The row of an event that has one."""
    row = row_of(event, NOW + 86_400)
    assert row is not None
    return row
