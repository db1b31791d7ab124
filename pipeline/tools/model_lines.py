"""What `upscale models` prints: models as lines for a person and as documents for a program. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipeline.gpu.models.models_folder import Manifest
from pipeline.gpu.models.specs import ModelSpec
from pipeline.gpu.models.standing import Place, Standing, published
from pipeline.tools.letters import printable

MIB: int = 2**20
_HEADINGS = ("name", "scale", "purpose", "MiB", "weights", "licence")


@dataclass(frozen=True, slots=True)
class Shown:
    """A model and how it stands with this deployment."""

    spec: ModelSpec
    standing: Standing
    withheld: str | None
    """Why it is not served; None when it is."""


def mib(size: int) -> str:
    """Bytes in MiB, with two digits after the point."""
    return f"{size / MIB:.2f}"


def size_of(shown: Shown) -> int:
    """Bytes of its weights: those on this disk, or what would be fetched."""
    return shown.standing.size or sum(each.size for each in published(shown.spec))


def listing(models: Sequence[Shown]) -> list[str]:
    """A line for each model under headings, in columns."""
    rows = [_HEADINGS, *(_row(each) for each in models)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _row(shown: Shown) -> tuple[str, ...]:
    spec = shown.spec
    where = str(shown.standing.place) if shown.withheld is None else f"{shown.standing.place}, not served"
    return spec.name, f"{spec.scale}x", str(spec.purpose), mib(size_of(shown)), where, printable(spec.licence)


def document(shown: Shown) -> dict[str, object]:
    """One model for a program. `available` says that a job may ask for it now."""
    spec = shown.spec
    return {
        "name": spec.name,
        "scale": spec.scale,
        "description": spec.good_at,
        "available": shown.withheld is None and shown.standing.place is not Place.ABSENT,
        "size_mb": round(size_of(shown) / MIB, 2),
        "size_bytes": size_of(shown),
        "purpose": str(spec.purpose),
        "weights": str(shown.standing.place),
        "served": shown.withheld is None,
        "licence": spec.licence,
        "author": spec.author,
    }


def information(shown: Shown, architecture: str, manifest: Manifest | None) -> list[str]:
    """All that is known of one model, a line for each."""
    spec = shown.spec
    facts: Mapping[str, str] = {
        "name": spec.name,
        "also called": ", ".join(spec.aliases),
        "purpose": str(spec.purpose),
        "scale": f"{spec.scale}x",
        "architecture": architecture,
        "good at": spec.good_at,
        "not good at": spec.not_good_at,
        "author": spec.author,
        "licence": spec.licence,
        "precisions": ", ".join(spec.precisions),
        "tiles": f"{spec.pad} px of context, sides a multiple of {spec.multiple}",
        "weights": str(shown.standing.place),
        "files": ", ".join(map(str, shown.standing.files)),
        "MiB": mib(size_of(shown)),
        "published": ", ".join(f"{each.url} ({each.size} bytes, sha256 {each.sha256})" for each in published(spec)),
        "converted": "" if manifest is None else f"{manifest.installed} from {manifest.origin}",
        "not served": shown.withheld or "",
    }
    return [f"{name:<13} {printable(fact)}" for name, fact in facts.items() if fact]
