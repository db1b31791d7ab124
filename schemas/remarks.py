"""What of a picture its result could not keep: the words of `warnings`, each with its meaning."""

from enum import StrEnum


class Remark(StrEnum):
    """A stable word; it prevents no result, and there may be more of them tomorrow."""

    ANIMATION_DROPPED = "animation_dropped"
    PAGES_DROPPED = "pages_dropped"
    ICC_IGNORED = "icc_ignored"
    EXIF_DROPPED = "exif_dropped"
    DEPTH_REDUCED = "depth_reduced"
    ALPHA_FLATTENED = "alpha_flattened"


REMARKS: dict[Remark, str] = {
    Remark.ANIMATION_DROPPED: "The source is animated; the result is of its first picture.",
    Remark.PAGES_DROPPED: "The source has several pages; the result is of the first.",
    Remark.ICC_IGNORED: "The colour profile is broken, too large or of no use here; colours were taken for sRGB.",
    Remark.EXIF_DROPPED: "`metadata` is `keep`, and the EXIF of the source is broken or too large to be kept.",
    Remark.DEPTH_REDUCED: "Of 16 bits a sample 8 remain: the format holds no more, or such a TIFF is read so.",
    Remark.ALPHA_FLATTENED: "The format has no transparency; the picture was laid on white.",
}
