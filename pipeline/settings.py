"""Frozen settings, one class for each room.

Every field is an environment variable: `UPSCALE_`, the room, `__`, the field, as in `UPSCALE_KAFKA__SERVERS`. With
`_FILE` after its name the value is read from that file, so that secrets can be mounted. Values are in base units, and
the unit is in the name.
"""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from pipeline.model_settings import ModelSettings
from pipeline.room import Port, Positive, Room, Seconds
from pipeline.variables import variable


class KafkaSettings(Room):
    """The broker, and how patiently we are its client."""

    servers: str = "127.0.0.1:9092"
    """Bootstrap servers, comma separated `host:port`."""
    group: str = "upscale-workers"
    """Consumer group of the workers; each group upscales every request once."""
    topic_prefix: str = "upscale"
    """First part of all topic names."""
    partitions: Positive = 16
    """Partitions of each request and event topic when we create them; bounds the number of workers."""
    replication_factor: Positive = 1
    """Copies of each partition when we create topics; 3 in production."""
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    """How to talk to the broker; `SASL_…` needs a user name and a password."""
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "PLAIN"
    """How to prove who we are."""
    sasl_username: str | None = None
    """User name for SASL."""
    sasl_password: SecretStr | None = None
    """Password for SASL; mount it and name the file in the variable with `_FILE`."""
    ssl_ca_file: Path | None = None
    """Certificate authority to trust instead of the system's."""
    session_timeout_ms: Positive = 30_000
    """A worker that is gone is noticed after this long. Brokers usually accept 6,000 to 300,000."""
    heartbeat_interval_ms: Positive = 3_000
    """At most a third of the session timeout."""
    rebalance_timeout_ms: Positive = 20_000
    """The broker waits this long for members to let go of their partitions."""
    request_timeout_ms: Positive = 30_000
    """One request to the broker; joining the group is one, so it must outlast the rebalance timeout."""
    max_poll_interval_ms: Positive = 60_000
    """Bounds the poll loop, not the job: polling goes on while jobs run."""
    revoke_budget_seconds: Seconds = 5.0
    """How long letting go of partitions may take."""
    publish_timeout_seconds: Seconds = 15.0
    """An event not acknowledged by then counts as unknown and its request is not committed."""
    commit_interval_seconds: Seconds = 1.0
    """Finished work is committed this often; what is not is done again after a crash."""

    @model_validator(mode="after")
    def _timeouts_nest(self) -> Self:
        revoke_ms = self.revoke_budget_seconds * 1000
        if not revoke_ms < self.rebalance_timeout_ms < self.request_timeout_ms:
            # Otherwise members throw each other out: a join is sent under the plain request timeout.
            raise ValueError(
                "must nest: revoke_budget_seconds < rebalance_timeout_ms < request_timeout_ms, got "
                f"{revoke_ms:.0f} ms, {self.rebalance_timeout_ms} ms, {self.request_timeout_ms} ms"
            )
        if 3 * self.heartbeat_interval_ms > self.session_timeout_ms:
            raise ValueError(
                "session_timeout_ms: must be at least 3 heartbeats, got "
                f"{self.session_timeout_ms} ms with heartbeat_interval_ms {self.heartbeat_interval_ms}"
            )
        return self


class StoreSettings(Room):
    """The object store."""

    endpoint: str | None = None
    """URL of an S3-compatible store; unset means AWS."""
    region: str = "us-east-1"
    """Region of the bucket; other stores than AWS ignore it."""
    bucket: str = "upscale"
    """Our own bucket: uploads and results."""
    access_key: str | None = None
    """Unset lets the AWS chain find credentials (role, profile, instance)."""
    secret_key: SecretStr | None = None
    """Belongs to the access key; mount it and name the file in the variable with `_FILE`."""
    ssl_ca_file: Path | None = None
    """Certificate authority to trust instead of the system's."""
    source_buckets: tuple[str, ...] = ()
    """Other buckets that `s3://` sources may name, all of them and for every tenant. Of our own bucket each tenant may
    name its own results and uploads, and nothing else."""
    connect_timeout_seconds: Seconds = 5.0
    """Opening a connection to the store."""
    read_timeout_seconds: Seconds = 30.0
    """Silence of the store in the middle of an answer."""
    connections: Positive = 32
    """Most connections to the store at a time, multipart uploads included."""
    attempts: Positive = 3
    """Tries of one store operation, the first included, before the job fails."""
    multipart_threshold_bytes: Positive = 16 * 2**20
    """Larger results are stored in parts. Set S3's limit on a whole object, 5368709120, for a store that lets several
    uploads in parts win under one key though each asks not to overwrite, as SeaweedFS does."""
    multipart_part_bytes: Annotated[int, Field(ge=5 * 2**20)] = 8 * 2**20
    """Size of a part; S3 takes none under 5 MiB but the last."""

    @model_validator(mode="after")
    def _keys_come_in_pairs(self) -> Self:
        if (self.access_key is None) != (self.secret_key is None):
            raise ValueError("access_key and secret_key must be set together or not at all")
        return self


class FetchSettings(Room):
    """Fetching sources from addresses that callers name."""

    allow_http: bool = False
    """Accept `http://` sources. Plain text can be read and changed on the way."""
    allow_private_addresses: bool = False
    """Accept sources at private and loopback addresses. For development: it opens the inner network to callers."""
    extra_ports: tuple[Port, ...] = ()
    """Ports that sources may name beside 443, or 80 for `http://`; private addresses, once accepted, may have any."""
    ssl_ca_file: Path | None = None
    """Certificate authority to trust beside the system's."""
    max_bytes: Positive = 64 * 2**20
    """Largest source file."""
    connect_timeout_seconds: Seconds = 5.0
    """Opening a connection to a source."""
    first_byte_timeout_seconds: Seconds = 10.0
    """Until a source begins to answer."""
    total_timeout_seconds: Seconds = 30.0
    """The whole of one fetch, redirects included."""
    max_redirects: Annotated[int, Field(ge=0, le=10)] = 3
    """Redirects followed; each is checked like a new source."""
    concurrency: Positive = 32
    """Sources fetched at a time."""


class ImageSettings(Room):
    """What pictures we take and make."""

    max_pixels: Positive = 25_000_000
    """Source width times height."""
    max_side: Positive = 16_384
    """Source pixels."""
    min_side: Positive = 1
    """Source pixels."""
    max_aspect: Annotated[float, Field(ge=1)] = 200.0
    """Longer side divided by shorter."""
    max_output_pixels: Positive = 400_000_000
    """Result width times height."""
    decode_timeout_seconds: Seconds = 20.0
    """One picture; a decoder that takes longer is killed."""
    decode_memory_bytes: Positive = 2 * 2**30
    """Address space of a decoder process."""
    decoder_processes: Positive = 1
    """Pictures decoded at a time, each in a process of its own."""


class DeviceSettings(Room):
    """The device that infers."""

    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """What infers; `auto` takes the fastest there is."""
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    """`auto` takes what is known of such a device: the narrowest that it computes fast and well enough."""
    threads: Annotated[int, Field(ge=0)] = 0
    """CPU threads of one launch; 0 takes all processors."""
    max_batch_tiles: Annotated[int, Field(ge=0)] = 0
    """Most tiles in one launch; 0 lets the device decide."""
    tile_size: Annotated[int, Field(ge=0, le=2048)] = 0
    """Largest window side; 0 lets the device decide."""
    model_memory_bytes: Annotated[int, Field(ge=0)] = 0
    """Memory for networks that stay loaded; 0 takes a fifth of the device's, on a CPU of the machine's."""
    models_dir: Path | None = None
    """Where weights are cached and found; unset means `upscale/models` under the user's cache folder."""


class IntakeSettings(Room):
    """What one worker holds at a time. When a budget is full, consumption pauses."""

    max_jobs: Positive = 64
    """Jobs in hand of each lane."""
    max_pixels: Positive = 100_000_000
    """Decoded source pixels in memory; one picture larger than this is still taken, alone."""
    max_bytes: Positive = 512 * 2**20
    """Fetched source bytes in memory."""
    tenant_share: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Of pixels and bytes, what one tenant may hold while others wait; alone it may hold all."""
    lease_seconds: Annotated[float, Field(ge=0)] | None = None
    """A job is left to the worker that began it until that has been silent for so long. Unset means half of the group's
    session; 0 takes it over at once, which suits a single worker."""
    max_starts: Positive = 3
    """How often a job is begun whose workers die before its end."""
    drain_seconds: Seconds = 90.0
    """After SIGTERM: how long jobs in hand may take to finish."""


class StateSettings(Room):
    """The database of jobs, endpoints and deliveries."""

    url: SecretStr = SecretStr("sqlite:///upscale.db")
    """`sqlite:///FILE` for one machine, or `postgresql://USER:PASSWORD@HOST/NAME`; mount it and name the file in the
    variable with `_FILE` where it holds a password."""
    connections: Positive = 10
    """Most connections to PostgreSQL at a time."""
    timeout_seconds: Seconds = 10.0
    """One statement, waiting for another writer included."""


class WebhookSettings(Room):
    """Calling webhooks."""

    group: str = "upscale-dispatchers"
    """Consumer group of the dispatchers."""
    allow_http: bool = False
    """Call `http://` too. For development: what is sent can be read and changed on the way."""
    allow_private_addresses: bool = False
    """Call private and loopback addresses. For development: it opens the inner network to whoever names a URL."""
    extra_ports: tuple[Port, ...] = ()
    """Ports beside 443, or 80 for `http://`; private addresses, once allowed, may have any."""
    ssl_ca_file: Path | None = None
    """Certificate authority to trust beside the system's."""
    connect_timeout_seconds: Seconds = 5.0
    """Opening a connection."""
    attempt_timeout_seconds: Seconds = 30.0
    """One attempt, from resolving the name to the end of the answer."""
    endpoint_concurrency: Positive = 5
    """Attempts at one endpoint at a time."""
    host_concurrency: Positive = 20
    """Attempts at one host at a time, whosoever endpoints they are."""
    concurrency: Positive = 256
    """Attempts at a time, of this dispatcher."""
    result_url_seconds: Annotated[int, Field(ge=0, le=604_800)] = 604_800
    """How long the signed address of a result can be read, at most the week that signatures may last; 0 gives out
    `s3://bucket/key` instead. A message that is sent again has the address of its first attempt, so where this is less
    than deliveries are kept a dispatcher warns of it at the start."""
    keep_seconds: Seconds = 604_800.0
    """How long deliveries are kept after their end, to be looked at and sent again."""
    keep_jobs_seconds: Annotated[float, Field(ge=604_800)] = 1_209_600.0
    """How long jobs are remembered after their end. An end that is read again later is told again, so never less than
    events are kept on their topic; twice that, because Kafka throws records away by whole segments."""
    rotation_seconds: Seconds = 86_400.0
    """How long a key that was replaced goes on signing beside the new one."""
    drain_seconds: Seconds = 35.0
    """After SIGTERM: how long attempts under way may take to end."""


class TelemetrySettings(Room):
    """How the program is seen."""

    host: str = "127.0.0.1"
    """Address of /metrics, /live and /ready; containers set 0.0.0.0."""
    port: Port = 9100
    """0 takes a free port and logs it."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Least important lines that are written."""
    log_format: Literal["json", "console"] = "json"
    """`json` for machines, one object a line; `console` for people."""
    event_source: str = "/upscale/local"
    """CloudEvents `source` of what this deployment publishes."""


class Settings(BaseModel):
    """Everything an operator can set."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    kafka: KafkaSettings = KafkaSettings()
    store: StoreSettings = StoreSettings()
    fetch: FetchSettings = FetchSettings()
    image: ImageSettings = ImageSettings()
    device: DeviceSettings = DeviceSettings()
    models: ModelSettings = ModelSettings()
    intake: IntakeSettings = IntakeSettings()
    state: StateSettings = StateSettings()
    webhook: WebhookSettings = WebhookSettings()
    telemetry: TelemetrySettings = TelemetrySettings()

    @model_validator(mode="after")
    def _lease_ends_before_the_session(self) -> Self:
        if self.lease_seconds * 1000 >= self.kafka.session_timeout_ms:
            # A dead worker's records come to another when the session ends, and would find its jobs still leased.
            raise ValueError(
                f"{variable('intake', 'lease_seconds')}: must be shorter than the session of "
                f"{variable('kafka', 'session_timeout_ms')}, got {self.lease_seconds:g} s and "
                f"{self.kafka.session_timeout_ms} ms"
            )
        return self

    @property
    def lease_seconds(self) -> float:
        """How long a job is left to a worker that is silent."""
        half_a_session = self.kafka.session_timeout_ms / 2000
        return half_a_session if self.intake.lease_seconds is None else self.intake.lease_seconds


class InvalidSettings(Exception):
    """A setting the program cannot start with: its variable and what is wrong, a line each."""
