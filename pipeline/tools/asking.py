"""What a person asks of an upscale on the command line: arguments -> `UpscaleOptions`."""

import argparse
from collections.abc import Mapping

from pydantic import ValidationError

from pipeline.errors import PipelineError
from schemas.options import BeyondNative, FaceOptions, FaceOrder, MetadataPolicy, OutputFormat, UpscaleOptions
from schemas.problems import Problem, problems

DEFAULT = UpscaleOptions()


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of an upscale. What is not given is left to the schema, as in a bare event."""
    parser.add_argument("-m", "--model", help=f"network (default: {DEFAULT.model})")
    _add_size(parser)
    parser.add_argument("--denoise-strength", type=float, metavar="0..1", help="0 keeps noise; of models that have it")
    parser.add_argument("--tile-size", type=int, metavar="PIXELS", help="largest window side in source pixels")
    parser.add_argument("--tile-pad", type=int, metavar="PIXELS", help="context around each window's core")
    parser.add_argument(
        "-f",
        "--format",
        dest="output_format",
        choices=[str(each) for each in OutputFormat],
        help=f"of the result (default: {DEFAULT.output_format})",
    )
    parser.add_argument("-q", "--quality", type=int, help=f"of JPEG and WebP (default: {DEFAULT.quality})")
    parser.add_argument("--keep-metadata", action="store_true", help="carry the source's EXIF over")
    _add_faces(parser.add_argument_group("faces"))


def _add_size(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-s", "--scale", type=float, help=f"0 < scale <= 10 (default: {DEFAULT.scale:g})")
    parser.add_argument("--width", type=int, metavar="PIXELS", help="of the result, instead of --scale")
    parser.add_argument("--height", type=int, metavar="PIXELS", help="of the result; with --width it fits inside both")
    parser.add_argument(
        "--beyond-native",
        choices=[str(each) for each in BeyondNative],
        help=f"how more than the network's own scale is reached (default: {DEFAULT.beyond_native})",
    )


def _add_faces(group: "argparse._ArgumentGroup") -> None:
    default = DEFAULT.faces
    group.add_argument("--face-enhance", action="store_true", help="restore faces (needs face weights)")
    group.add_argument("--face-model", help=f"restoring network (default: {default.model})")
    group.add_argument(
        "--face-weight", type=float, metavar="0..1", help=f"share of the restored face (default: {default.weight:g})"
    )
    group.add_argument("--face-only-center", action="store_true", help="only the face nearest to the middle")
    group.add_argument("--face-max-size", type=int, metavar="PIXELS", help="leave larger faces alone")
    group.add_argument(
        "--face-min-eye-distance",
        type=float,
        metavar="PIXELS",
        help=f"leave faces with nearer eyes alone (default: {default.min_eye_distance:g})",
    )
    group.add_argument(
        "--face-order",
        choices=[str(each) for each in FaceOrder],
        help=f"before or after the upscale (default: {default.order})",
    )


def options_of(arguments: argparse.Namespace) -> UpscaleOptions:
    """The options asked for. Raises `PipelineError` naming the argument that cannot be."""
    given = {name: value for name, value in vars(arguments).items() if value is not None and value is not False}
    try:
        return UpscaleOptions.model_validate(
            {
                **_fields(given, UpscaleOptions),
                "faces": _fields(given, FaceOptions, prefix="face_"),
                "metadata": MetadataPolicy.KEEP if "keep_metadata" in given else MetadataPolicy.STRIP,
            }
        )
    except ValidationError as error:
        raise PipelineError(_by_argument(problems(error)[0])) from None


def _fields(
    given: Mapping[str, object], model: type[UpscaleOptions | FaceOptions], prefix: str = ""
) -> dict[str, object]:
    return {name: given[prefix + name] for name in model.model_fields if prefix + name in given}


def _by_argument(problem: Problem) -> str:
    """A rule that joins several options names them itself."""
    path = ["face" if part == "faces" else part for part in problem.path]
    field = "-".join(path).replace("_", "-")
    return f"--{field}: {problem.sentence}" if field else problem.sentence
