"""`upscale models list|info|pull|verify|import|remove`: which networks there are, and their weights on this machine."""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import orjson

from pipeline.errors import PipelineError
from pipeline.gpu.models import models_folder
from pipeline.gpu.models.catalog import Catalogue, catalogue, described
from pipeline.gpu.models.specs import ModelSpec
from pipeline.gpu.models.standing import Place, faults, published, standing
from pipeline.settings import Settings
from pipeline.tools import model_get, model_lines
from pipeline.tools.model_lines import Shown
from pipeline.tools.partial_file import partial
from pipeline.variables import variable

NAME_HELP = "as `models list` shows it; case and the usual spellings are forgiven"


@dataclass(frozen=True, slots=True)
class Shop:
    """The models of this deployment and the folder of their weights."""

    models: Catalogue
    folder: Path

    def named(self, name: str) -> ModelSpec:
        """The model of that name, served or not. Raises `PipelineError`."""
        spec = self.models.meant(name)
        return self.models.find(name) if spec is None else spec

    def is_published(self, name: str) -> bool:
        """Whether the weights of a published file would lie under that name."""
        files = (each for spec in self.models.specs for each in published(spec))
        return name.lower() in {models_folder.published_stem(each).lower() for each in files}

    def shown(self, spec: ModelSpec) -> Shown:
        """The model and how it stands."""
        return Shown(spec, standing(spec, self.folder), self.models.withheld(spec))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `upscale models`."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="|".join(ACTIONS))
    listing = actions.add_parser("list", help="every model: what it is for, and where its weights are")
    info = actions.add_parser("info", help="all that is known of one model")
    info.add_argument("name", metavar="NAME", help=NAME_HELP)
    model_get.add_pull(actions.add_parser("pull", help="fetch published weights, verify and install them"))
    verify = actions.add_parser("verify", help="check weights against their digests; none named means all")
    verify.add_argument("names", metavar="NAME", nargs="*", help=NAME_HELP)
    model_get.add_import(actions.add_parser("import", help="install weights of your own; their architecture is found"))
    remove = actions.add_parser("remove", help="take weights out of the models folder")
    remove.add_argument("names", metavar="NAME", nargs="+", help=NAME_HELP)
    for each in (listing, info):
        each.add_argument("--json", action="store_true", help="a line of JSON for each model instead")


def main(arguments: argparse.Namespace, config: Settings) -> int:
    """Exit code 0 when all that was asked was done, 1 when some was not. Raises `PipelineError`, `InvalidSettings`."""
    folder = config.device.models_dir or models_folder.default_folder()
    if folder.exists() and not folder.is_dir():
        raise PipelineError(f"{variable('device', 'models_dir')}: must be a folder, got the file {folder}")
    shop = Shop(catalogue(models_folder.imported(folder), config.models), folder)
    return ACTIONS[arguments.action](arguments, config, shop)


def _list(arguments: argparse.Namespace, _config: Settings, shop: Shop) -> int:
    models = [shop.shown(spec) for spec in shop.models.specs]
    if arguments.json:
        lines = [orjson.dumps(model_lines.document(each)).decode() for each in models]
    else:
        here = sum(each.standing.size for each in models if each.standing.place is Place.FOLDER)
        lines = [*model_lines.listing(models), f"{shop.folder}: {model_lines.mib(here)} MiB"]
    print("\n".join(lines))
    return 0


def _info(arguments: argparse.Namespace, _config: Settings, shop: Shop) -> int:
    shown = shop.shown(shop.named(arguments.name))
    if arguments.json:
        print(orjson.dumps(model_lines.document(shown)).decode())
        return 0
    try:
        manifest = models_folder.read_manifest(shop.folder, models_folder.stem(shown.spec))
    except ValueError:
        manifest = None
    architecture = manifest.architecture if manifest and manifest.detected else described(shown.spec)
    print("\n".join(model_lines.information(shown, architecture, manifest)))
    return 0


def _pull(arguments: argparse.Namespace, config: Settings, shop: Shop) -> int:
    specs = [shop.models.find(shop.named(name).name) for name in arguments.names]
    return model_get.pull(arguments, config.models, specs, shop.folder)


def _verify(arguments: argparse.Namespace, _config: Settings, shop: Shop) -> int:
    wrong = 0
    for spec in [shop.named(name) for name in arguments.names] or shop.models.specs:
        found = faults(spec, shop.folder)
        wrong += bool(found)
        if found or standing(spec, shop.folder).place is not Place.ABSENT:
            print(f"{spec.name}: {'; '.join(found) or 'ok'}")
        elif arguments.names:
            wrong += 1
            print(f"{spec.name}: no weights are here")
    return 1 if wrong else 0


def _import(arguments: argparse.Namespace, _config: Settings, shop: Shop) -> int:
    if shop.models.meant(arguments.name) is not None:
        raise PipelineError(f"NAME: {arguments.name!r} is taken; choose another, or `upscale models remove` that one")
    if shop.is_published(arguments.name):
        raise PipelineError(f"NAME: {arguments.name!r} is taken: published weights lie under it; choose another")
    return model_get.import_file(arguments, shop.folder)


def _remove(arguments: argparse.Namespace, _config: Settings, shop: Shop) -> int:
    absent = 0
    for spec in [shop.named(name) for name in arguments.names]:
        stems = [models_folder.stem(spec), *map(models_folder.published_stem, published(spec))]
        gone = [path.name for stem in dict.fromkeys(stems) for path in models_folder.remove(shop.folder, stem)]
        for each in published(spec):
            partial(shop.folder, each).discard()
        absent += not gone
        kept = "; those that come with the install stay" if spec.carried else ""
        print(f"{spec.name}: {'removed ' + ', '.join(gone) if gone else 'nothing of it is in the folder'}{kept}")
    return 1 if absent else 0


ACTIONS: dict[str, Callable[[argparse.Namespace, Settings, Shop], int]] = {
    "list": _list,
    "info": _info,
    "pull": _pull,
    "verify": _verify,
    "import": _import,
    "remove": _remove,
}
