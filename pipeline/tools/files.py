"""Files and folders that a person names on the command line: what cannot be used is told before work begins."""

from pathlib import Path

from pipeline.errors import PipelineError


def check_readable(path: Path) -> None:
    """Raises `PipelineError` naming `path` unless it is a file whose content can be read."""
    try:
        if path.is_dir():
            raise PipelineError(f"{path}: is a folder; name the pictures in it")
        if path.exists() and not path.is_file():
            raise PipelineError(f"{path}: is not a plain file")
        with path.open("rb") as file:
            file.read(1)
    except OSError as error:
        raise PipelineError(f"{path}: cannot be read: {error.strerror}") from None


def make_folder(path: Path) -> Path:
    """`path`, which is a folder afterwards. Raises `PipelineError` naming it."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PipelineError(f"{path}: must be a folder for results: {error.strerror}") from None
    return path
