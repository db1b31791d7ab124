"""The broker's jars: fetched by Maven once, compared with `jars.sha256` each time they are used.

`python -m tests.support.apache_kafka.jars` writes that list anew, after a change of `pom.xml`.
"""

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.support.requirement import Unavailable

HERE = Path(__file__).parent
POM = HERE / "pom.xml"
LIST = HERE / "jars.sha256"
CACHE = HERE.parents[2] / "build" / "apache-kafka"
FETCH_SECONDS = 300.0


class WrongJars(Exception):
    """Files are not those of the list; the text names them."""


def jars(listed: Path = LIST, cache: Path = CACHE) -> Path:
    """A folder that holds the jars of `listed` and nothing else. Raises `Unavailable`, `WrongJars`.

    Kept in `cache` under a name of its own for each list. Filled aside and renamed, so that a run that is cut short,
    or another at the same time, leaves nothing half done.
    """
    wanted = parsed(listed.read_text())
    folder = cache / hashlib.sha256(listed.read_bytes()).hexdigest()[:16]
    if not folder.is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=cache) as aside:
            fetched = fetch(Path(aside))
            verify(fetched, wanted)
            keep(fetched, folder)
    verify(folder, wanted)
    return folder


def parsed(text: str) -> dict[str, str]:
    """The lines of `sha256sum` as file name -> digest."""
    return {name: digest for digest, name in (line.split() for line in text.splitlines())}


def digests(folder: Path) -> dict[str, str]:
    """Every file of `folder` with its digest."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


def verify(folder: Path, wanted: Mapping[str, str]) -> None:
    """Raises `WrongJars` unless `folder` holds exactly `wanted`."""
    differing = sorted(name for name, _ in digests(folder).items() ^ wanted.items())
    if differing:
        raise WrongJars(f"{folder}: missing, unknown or changed: {', '.join(dict.fromkeys(differing))}")


def fetch(aside: Path) -> Path:
    """What `pom.xml` needs at run time, as Maven resolves it from wherever it is configured to. Raises `Unavailable`.

    With a repository of its own in `aside`: Maven's usual one must not be written to by two at a time.
    """
    maven = shutil.which("mvn")
    if maven is None:
        raise Unavailable("the jars of Apache Kafka are not in build/ and there is no mvn on PATH to fetch them")
    target = aside / "jars"
    quiet = ["--batch-mode", "--quiet", "--strict-checksums", f"--file={POM}", f"-Dmaven.repo.local={aside / 'maven'}"]
    goal = ["dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={target}"]
    done = subprocess.run([maven, *quiet, *goal], capture_output=True, text=True, timeout=FETCH_SECONDS, check=False)
    if done.returncode != 0:
        raise Unavailable(f"mvn could not fetch the jars of Apache Kafka:\n{done.stdout}{done.stderr}")
    return target


def keep(fetched: Path, folder: Path) -> None:
    """Give `fetched` its lasting name, unless another run was faster."""
    try:
        fetched.rename(folder)
    except OSError:
        if not folder.is_dir():
            raise


def main() -> None:
    """Trust what Maven answers now, and write it down."""
    with TemporaryDirectory() as aside:
        found = digests(fetch(Path(aside)))
    LIST.write_text("".join(f"{digest}  {name}\n" for name, digest in found.items()))
    sys.stdout.write(f"{LIST}: {len(found)} jars\n")


if __name__ == "__main__":
    main()
