"""Settings of the models: what is served, and where weights are fetched from. A room of `pipeline.settings`."""

from pipeline.room import Positive, Room, Seconds


class ModelSettings(Room):
    """Which models are served, and where `upscale models pull` gets their weights."""

    disabled: tuple[str, ...] = ()
    """Names of models that are not served."""
    opt_in: tuple[str, ...] = ()
    """Names of models to serve although their licence restricts it; naming one says that you may use it."""
    mirror: str | None = None
    """Where to fetch weights instead of the release addresses: a folder, or an `https:`, `http:` or `file:` address,
    with the published files directly under it."""
    connect_timeout_seconds: Seconds = 10.0
    """Opening a connection to where weights are fetched."""
    stall_timeout_seconds: Seconds = 30.0
    """Silence in the middle of a file."""
    concurrency: Positive = 3
    """Files fetched at a time."""
