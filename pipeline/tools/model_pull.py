"""Published files -> the models folder: fetched, verified and converted, several at a time, each with its own end."""

import asyncio
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import aiohttp
from yarl import URL

from pipeline.errors import PipelineError
from pipeline.gpu.models.models_folder import Manifest
from pipeline.gpu.models.specs import ModelSpec, OfficialWeights
from pipeline.gpu.models.standing import digest, published
from pipeline.tools.download import download
from pipeline.tools.partial_file import DownloadFailed, Partial, partial

Convert = Callable[[ModelSpec, OfficialWeights, Path], Manifest]
"""Installs a verified file. Blocks. Raises `ValueError` and `OSError`."""


@dataclass(frozen=True, slots=True)
class Parcel:
    """One published file of one model."""

    spec: ModelSpec
    published: OfficialWeights


@dataclass(frozen=True, slots=True)
class Pulled:
    """How it went with one file."""

    parcel: Parcel
    failure: str | None = None
    """None when it is installed."""


@dataclass(frozen=True, slots=True)
class Pull:
    """Where files come from, where they go, and how."""

    session: aiohttp.ClientSession
    source: str | None
    """A folder or an address that has the files directly under it; None asks the release addresses."""
    folder: Path
    convert: Convert
    concurrency: int
    told: Callable[[Parcel, int], None]
    """Told how many bytes of a file there are."""

    async def all(self, parcels: Sequence[Parcel]) -> list[Pulled]:
        """Install every parcel, or say why not; in order. One that fails holds up no other. Raises nothing of ours."""
        places = asyncio.Semaphore(self.concurrency)

        async def one(parcel: Parcel) -> Pulled:
            async with places:
                return await self._one(parcel)

        return list(await asyncio.gather(*(one(parcel) for parcel in parcels)))

    async def _one(self, parcel: Parcel) -> Pulled:
        try:
            await self._install(parcel)
        except PipelineError as error:
            return Pulled(parcel, str(error))
        except ValueError as error:
            return Pulled(parcel, f"{parcel.published.file}: {error}; nothing was installed")
        except OSError as error:
            return Pulled(parcel, f"{self.folder}: cannot be written: {error.strerror or error}; nothing was installed")
        return Pulled(parcel)

    async def _install(self, parcel: Parcel) -> None:
        place = located(parcel.published, self.source)
        if isinstance(place, Path):
            await asyncio.to_thread(_check, place, parcel.published)
            self.told(parcel, parcel.published.size)
            return await self._convert(parcel, place)
        target = partial(self.folder, parcel.published)
        await asyncio.to_thread(check_room, self.folder, parcel.published, target)
        await self._fetch(place, parcel, target)
        await self._convert(parcel, target.path)
        return target.discard()

    async def _convert(self, parcel: Parcel, source: Path) -> None:
        await asyncio.to_thread(self.convert, parcel.spec, parcel.published, source)
        await asyncio.to_thread(_set_aside, self.folder / parcel.published.file, parcel.published)

    async def _fetch(self, address: URL, parcel: Parcel, target: Partial) -> None:
        """`target` is the published file afterwards. One that was put together from two versions is begun anew."""
        resumed = target.size() > 0
        for last in (not resumed, True):
            await download(self.session, address, parcel.published, target, lambda have: self.told(parcel, have))
            try:
                return await asyncio.to_thread(_check, target.path, parcel.published)
            except DownloadFailed:
                target.discard()
                if last:
                    raise
        return None


def parcels(specs: Sequence[ModelSpec]) -> list[Parcel]:
    """Every published file of `specs`, each once."""
    return list(dict.fromkeys(Parcel(spec, each) for spec in specs for each in published(spec)))


def located(published: OfficialWeights, source: str | None) -> URL | Path:
    """Where `published` is got from: a file of this machine, or an address. Raises `PipelineError`."""
    if source is None:
        return URL(published.url)
    scheme, mark, _ = source.partition("://")
    if not mark:
        return Path(source.removeprefix("file:")) / published.file
    match scheme.lower():
        case "https" | "http":
            try:
                return URL(source) / published.file
            except ValueError:
                raise PipelineError(f"{source}: is not an address") from None
        case "file":
            return Path(URL(source).path) / published.file
        case _:
            raise PipelineError(f"{source}: must be a folder, or an https, http or file address")


def check_room(folder: Path, published: OfficialWeights, target: Partial) -> None:
    """Raises `DownloadFailed` when the disk cannot hold the file and what it is converted into."""
    folder.mkdir(parents=True, exist_ok=True)
    needed = 2 * published.size - target.size()
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise DownloadFailed(
            f"{published.file}: needs {needed} bytes of disk while it is installed, {folder} has {free}"
        )


def _set_aside(path: Path, published: OfficialWeights) -> None:
    """A file under the published name that is another would still be met first, and refused; it may be somebody's."""
    if path.is_file() and digest(path) != published.sha256:
        path.replace(path.with_name(f"{path.name}.refused"))


def _check(path: Path, published: OfficialWeights) -> None:
    try:
        found = digest(path)
    except OSError as error:
        raise DownloadFailed(f"{path}: cannot be read: {error.strerror}") from None
    if found != published.sha256:
        raise DownloadFailed(f"{published.file}: sha256 must be {published.sha256}, got {found}; nothing was installed")
