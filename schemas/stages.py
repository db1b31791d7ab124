"""The one vocabulary of the data path: a module, a metric label, a log field and a failure field share each word."""

from enum import StrEnum


class Stage(StrEnum):
    """A step of a job, in path order; `stage=stitch` in a log line is also the file to open."""

    FETCH = "fetch"
    DECODE = "decode"
    TILE = "tile"
    BATCH = "batch"
    INFER = "infer"
    STITCH = "stitch"
    FACE = "face"
    ENCODE = "encode"
    STORE = "store"
    PUBLISH = "publish"
    DELIVER = "deliver"
