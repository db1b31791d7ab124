"""`upscale bench engine|path|quality|faces|webhooks`: speed beside peers, and what the networks make of photographs."""

import argparse

from pipeline.gpu.allocator import keep_freed_memory
from pipeline.settings import Settings
from pipeline.tools import bench_engine, bench_faces, bench_path, bench_quality, bench_webhooks


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `upscale bench`."""
    kinds = parser.add_subparsers(dest="kind", required=True, metavar="KIND")
    bench_engine.add_arguments(
        kinds.add_parser("engine", help="our engine against RealESRGANer, same weights and tiles")
    )
    bench_path.add_arguments(kinds.add_parser("path", help="the stream through broker and store against the engine"))
    bench_quality.add_arguments(
        kinds.add_parser("quality", help="every network's PSNR, SSIM, sharpness and NIQE beside bicubic and upstream")
    )
    bench_faces.add_arguments(
        kinds.add_parser("faces", help="crops of faces, in flight together and one after another")
    )
    bench_webhooks.add_arguments(
        kinds.add_parser("webhooks", help="how soon receivers hear of an event, and what one that hangs costs")
    )


def main(arguments: argparse.Namespace, config: Settings) -> int:
    """Exit code 0 when the measurement was made; it never judges."""
    keep_freed_memory()  # as a worker does
    match arguments.kind:
        case "engine":
            return bench_engine.main(arguments, config)
        case "path":
            return bench_path.main(arguments, config)
        case "quality":
            return bench_quality.main(arguments, config)
        case "faces":
            return bench_faces.main(arguments, config)
        case _:
            return bench_webhooks.main(arguments, config)
