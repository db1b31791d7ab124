"""Frozen settings, one class for each room; the only reader of the environment.

Every field is an environment variable: `UPSCALE_`, the room, `__`, the field, as in `UPSCALE_KAFKA__SERVERS`. A field
whose name ends in `_FILE` in the environment is read from that file, so that secrets can be mounted. Values are in
base units, and the unit is in the name.
"""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

PREFIX = "UPSCALE_"
SEPARATOR = "__"

Seconds = Annotated[float, Field(gt=0)]
Positive = Annotated[int, Field(gt=0)]
Port = Annotated[int, Field(ge=0, le=65535)]


class Room(BaseModel):
    """Settings of one room: frozen, and a misspelt field is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


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
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "PLAIN"
    sasl_username: str | None = None
    sasl_password: SecretStr | None = None
    ssl_ca_file: Path | None = None
    """Certificate authority to trust instead of the system's."""
    session_timeout_ms: Positive = 30_000
    """A worker that is gone is noticed after this long. Brokers usually accept 6,000 to 300,000."""
    heartbeat_interval_ms: Positive = 3_000
    rebalance_timeout_ms: Positive = 20_000
    """The broker waits this long for members to let go of their partitions."""
    request_timeout_ms: Positive = 30_000
    max_poll_interval_ms: Positive = 60_000
    """Bounds the poll loop, not the job: polling goes on while jobs run."""
    revoke_budget_seconds: Seconds = 5.0
    """How long letting go of partitions may take."""
    publish_timeout_seconds: Seconds = 15.0
    """An event not acknowledged by then counts as unknown and its request is not committed."""
    commit_interval_seconds: Seconds = 1.0

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
    bucket: str = "upscale"
    """Our own bucket: uploads and results."""
    access_key: str | None = None
    """Unset lets the AWS chain find credentials (role, profile, instance)."""
    secret_key: SecretStr | None = None
    ssl_ca_file: Path | None = None
    """Certificate authority to trust instead of the system's."""
    source_buckets: tuple[str, ...] = ()
    """Other buckets that `s3://` sources may name. Our own results and uploads are always readable."""
    connect_timeout_seconds: Seconds = 5.0
    read_timeout_seconds: Seconds = 30.0
    connections: Positive = 32
    """Most connections to the store at a time, multipart uploads included."""
    attempts: Positive = 3
    """Tries of one store operation, the first included, before the job fails."""
    multipart_threshold_bytes: Positive = 16 * 2**20
    multipart_part_bytes: Annotated[int, Field(ge=5 * 2**20)] = 8 * 2**20


class FetchSettings(Room):
    """Fetching sources from addresses that callers name."""

    allow_http: bool = False
    """Accept `http://` sources. Plain text can be read and changed on the way."""
    allow_private_addresses: bool = False
    """Accept sources at private and loopback addresses. For development: it opens the inner network to callers."""
    extra_ports: tuple[Port, ...] = ()
    """Ports that sources may name beside 443 and 80; private addresses, once accepted, may have any."""
    ssl_ca_file: Path | None = None
    """Certificate authority to trust beside the system's."""
    max_bytes: Positive = 64 * 2**20
    connect_timeout_seconds: Seconds = 5.0
    first_byte_timeout_seconds: Seconds = 10.0
    total_timeout_seconds: Seconds = 30.0
    max_redirects: Annotated[int, Field(ge=0, le=10)] = 3
    concurrency: Positive = 32


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
    decode_memory_bytes: Positive = 2 * 2**30
    """Address space of a decoder process."""
    decoder_processes: Positive = 1


class DeviceSettings(Room):
    """The device that infers."""

    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    """`auto` measures what the device does well."""
    threads: Annotated[int, Field(ge=0)] = 0
    """CPU threads of one launch; 0 takes all processors."""
    max_batch_tiles: Annotated[int, Field(ge=0)] = 0
    """Most tiles in one launch; 0 lets the device decide."""
    tile_size: Annotated[int, Field(ge=0, le=2048)] = 0
    """Largest window side; 0 lets the device decide."""
    models_dir: Path | None = None
    """Where weights are cached and found; unset means `upscale/models` under the user's cache folder."""


class IntakeSettings(Room):
    """What one worker holds at a time. When a budget is full, consumption pauses."""

    max_jobs: Positive = 64
    max_pixels: Positive = 100_000_000
    """Decoded source pixels in memory; one picture larger than this is still taken, alone."""
    max_bytes: Positive = 512 * 2**20
    """Fetched source bytes in memory."""
    drain_seconds: Seconds = 90.0
    """After SIGTERM: how long jobs in hand may take to finish."""


class TelemetrySettings(Room):
    """How the program is seen."""

    host: str = "127.0.0.1"
    """Address of /metrics, /live and /ready; containers set 0.0.0.0."""
    port: Port = 9100
    """0 takes a free port and logs it."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["json", "console"] = "json"
    event_source: str = "/upscale/local"
    """CloudEvents `source` of what this deployment publishes."""


class _Environment(EnvSettingsSource):
    """Adds `<NAME>_FILE`: the value is the content of that file, without its last newline."""

    def _load_env_vars(self) -> dict[str, str | None]:
        found = dict(super()._load_env_vars())
        for name, path in list(found.items()):
            target = name[: -len("_file")]
            if name.startswith(PREFIX.lower()) and name.endswith("_file") and path and not self._is_field(name):
                found[target] = Path(path).read_text(encoding="utf-8").rstrip("\n")
                del found[name]
        return found

    def _is_field(self, name: str) -> bool:
        room, _, field = name.removeprefix(PREFIX.lower()).partition(SEPARATOR)
        default = self.settings_cls.model_fields[room].default if room in self.settings_cls.model_fields else None
        return hasattr(default, field)


class Settings(BaseSettings):
    """Everything an operator can set."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter=SEPARATOR, frozen=True, extra="forbid", use_attribute_docstrings=True
    )

    kafka: KafkaSettings = KafkaSettings()
    store: StoreSettings = StoreSettings()
    fetch: FetchSettings = FetchSettings()
    image: ImageSettings = ImageSettings()
    device: DeviceSettings = DeviceSettings()
    intake: IntakeSettings = IntakeSettings()
    telemetry: TelemetrySettings = TelemetrySettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, _Environment(settings_cls)


class InvalidSettings(Exception):
    """A setting the program cannot start with: its variable and what is wrong, a line each."""


def load() -> Settings:
    """Read the environment once. Raises `InvalidSettings`."""
    try:
        return Settings()
    except ValidationError as error:
        raise InvalidSettings("\n".join(_line(problem) for problem in error.errors(include_url=False))) from None


def variable(*path: str) -> str:
    """The environment variable of a field: `variable("kafka", "servers")` is `UPSCALE_KAFKA__SERVERS`."""
    return PREFIX + SEPARATOR.join(path).upper()


def _line(problem: object) -> str:
    assert isinstance(problem, dict)
    name = variable(*(str(part) for part in problem["loc"])) or PREFIX
    return f"{name}: {problem['msg']}, got {str(problem['input'])[:100]!r}"
