"""The page of models: the catalogue, and what was measured of the networks that come with the install.

`upscale bench quality` measures; `make models` runs it and writes what this page shows. The rest follows from the code.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from pydantic import TypeAdapter

from pipeline.gpu.models.catalog import MODELS
from pipeline.gpu.models.specs import CarriedWeights, ModelSpec, OfficialWeights, PackagedOnnx, Purpose
from pipeline.tools.photographs import SUBJECTS
from pipeline.tools.quality import Report, cells

FOLDER = Path(__file__).parent / "images"
MEASURED = FOLDER / "models.json"
SHEET = FOLDER / "models.webp"

HEAD = """# Models

What a job may name as `model`, and what comes of it. Case, `-`, `_`, `.` and spaces do not matter; a vendor before `/`,
a version after `:` and the ending `.pth` are passed over. Events name the model exactly.

Made from `pipeline/gpu/catalog*.py` and `docs/images/models.json` by `python -m docs.build`.
`make models` measures anew.
"""

HEADINGS = {
    Purpose.UPSCALE: "## Networks that upscale",
    Purpose.FACE_RESTORE: "## Networks that restore faces",
    Purpose.FACE_DETECT: "## Networks that find faces",
    Purpose.FACE_PARSE: "## Networks that tell skin from hair",
}

SIZE = """## The size of the result

- `scale` is any number above 0 and up to 10. `width` and `height` may be given instead; with both the result fits
  inside. A result has exactly the size that follows, each side rounded to the nearest pixel.
- What a network makes is brought to that size by one antialiased Lanczos resize. Below the network's own scale that is
  a reduction: a scale of 1 restores without enlarging.
- Above it, `beyond_native: resize` is one pass and a Lanczos enlargement. `repeat` runs the network over its own result
  until that is large enough, then reduces: it is sharper, a second pass at scale 4 costs 16 times the first, and what
  the first invented the second takes for real. A picture between two passes is held to `UPSCALE_IMAGE__MAX_PIXELS`.
  Each pass counts its own tiles in `upscale.progress`.
"""

FIGURES = """## What they make of photographs

Each photograph is blurred (sigma 1.2), reduced to the means of 4 x 4 pixels and compressed as JPEG of quality 60, then
enlarged 4 times and compared with itself. PSNR and SSIM (of the luma) say how near the result is; sharpness is the
variance of its Laplacian divided by the original's; NIQE says how natural it looks without knowing the original: lower
is better, and it is rough on pictures of this size. PSNR and SSIM tell a network off for every detail that it invents,
so that bicubic, which invents none, looks good by them. Look at the sheet as well: it shows what was won, and that a
face of some 20 pixels has become somebody else's, which is what `face_enhance` is for.

"""


def models_page(measured: Path = MEASURED) -> str:
    """The whole page. Raises `OSError` and `ValueError` when nothing was measured."""
    report = TypeAdapter(Report).validate_json(measured.read_bytes())
    purposes = (_purpose(purpose) for purpose in HEADINGS)
    return "\n".join([HEAD, *filter(None, purposes), SIZE, figures(report), files()])


def _purpose(purpose: Purpose) -> str:
    specs = [spec for spec in MODELS if spec.purpose is purpose]
    if not specs:
        return ""
    columns = ("model", "scale", "good at", "not good at", "weights", "licence", "by")
    rows = (
        (f"`{each.name}`", str(each.scale), each.good_at, each.not_good_at, where(each), each.licence, each.author)
        for each in specs
    )
    names = ((f"`{each.name}`", ", ".join(f"`{alias}`" for alias in each.aliases)) for each in specs if each.aliases)
    return f"{HEADINGS[purpose]}\n\n{table(columns, rows)}\n{table(('model', 'also called'), names)}"


def where(spec: ModelSpec) -> str:
    """Where its weights come from."""
    if spec.opt_in:
        return "not here; the operator must opt in"
    return "come with the install" if spec.carried else f"not here; `upscale models pull {spec.name}`"


def files() -> str:
    """Every file, by name and digest, and what a window needs."""
    columns = ("model", "pad", "multiple", "precisions", "file", "bytes", "SHA-256")
    rows = (row for spec in MODELS for row in _files_of(spec))
    return f"## Files\n\nPad and multiple are of a window's sides, source pixels.\n\n{table(columns, rows)}"


def _files_of(spec: ModelSpec) -> Iterator[tuple[str, ...]]:
    own = (f"`{spec.name}`", str(spec.pad), str(spec.multiple), ", ".join(spec.precisions))
    if spec.carried:
        yield (*own, f"`{binary_name(spec.carried)}`, in the install", "", f"`{spec.carried.sha256}`")
    for official in filter(None, (spec.official, spec.denoiser)):
        yield (*own, *_published(official))


def binary_name(carried: CarriedWeights | PackagedOnnx) -> str:
    """The file that the digest is of."""
    return carried.file if isinstance(carried, PackagedOnnx) else f"{carried.stem}.bin"


def _published(official: OfficialWeights) -> tuple[str, str, str]:
    return f"[`{official.file}`]({official.url})", f"{official.size:_}", f"`{official.sha256}`"


def figures(report: Report) -> str:
    """What was measured, the sheet, and whose photographs they are."""
    columns = ("model", "by", "PSNR, dB", "SSIM", "sharpness", "NIQE")
    rows = ((each.model, each.by, *cells(each)) for each in report.means)
    caption = (
        f"`make models`; means of {len(SUBJECTS)} photographs; our engine in {report.precision} on {report.device}."
    )
    unseen = [f"`{each.name}`" for each in MODELS if each.purpose is Purpose.UPSCALE and not each.carried]
    left_out = (
        f"\nNot measured, for their weights do not come with the install: {', '.join(unseen)}.\n" if unseen else ""
    )
    sheet = f"![The same part of each photograph by every network](images/{SHEET.name})"
    credit = "; ".join(each.credit for each in SUBJECTS)
    return f"{FIGURES}{table(columns, rows)}\n{caption}\n{left_out}\n{sheet}\n\nPhotographs: {credit}.\n"


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of Markdown."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)
