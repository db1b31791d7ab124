"""The Java that runs the broker."""

import re
import shutil
import subprocess

from tests.support.requirement import Unavailable

OLDEST = 17
"""Apache Kafka 4 does not start on less."""
MEMORY_AND_START = ("-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto")
"""A broker of a test lives for seconds and holds little: what counts is that it starts fast and leaves room."""
LOGGING = ("-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-Dorg.slf4j.simpleLogger.showDateTime=true")


def java() -> str:
    """The program. Raises `Unavailable` when there is none, or one that is too old."""
    found = shutil.which("java")
    if found is None:
        raise Unavailable(f"there is no java on PATH; Apache Kafka needs Java {OLDEST} or later")
    told = subprocess.run([found, "-version"], capture_output=True, text=True, timeout=60, check=False).stderr
    release = release_of(told)
    if release is None or release < OLDEST:
        raise Unavailable(f"Apache Kafka needs Java {OLDEST} or later, got {told.splitlines()[:1]}")
    return found


def release_of(told: str) -> int | None:
    """The feature release that `java -version` tells: 8 for `1.8.0`, 17 for `17.0.15`; None when it tells none."""
    found = re.search(r'version "(?:1\.)?(\d+)', told)
    return int(found[1]) if found else None
