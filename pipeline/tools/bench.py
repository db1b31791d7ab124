"""`upscale bench engine|path`: the engine beside upstream, and the whole path beside the engine."""

import argparse

from pipeline.settings import Settings
from pipeline.tools import bench_engine, bench_path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `upscale bench`."""
    kinds = parser.add_subparsers(dest="kind", required=True, metavar="KIND")
    bench_engine.add_arguments(
        kinds.add_parser("engine", help="our engine against RealESRGANer, same weights and tiles")
    )
    bench_path.add_arguments(kinds.add_parser("path", help="the stream through broker and store against the engine"))


def main(arguments: argparse.Namespace, config: Settings) -> int:
    """Exit code 0 when the measurement was made; it never judges."""
    if arguments.kind == "engine":
        return bench_engine.main(arguments, config)
    return bench_path.main(arguments, config)
