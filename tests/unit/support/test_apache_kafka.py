"""Apache Kafka in the tests is the one that was pinned, and its absence is told."""

import hashlib
import shutil
from pathlib import Path

import pytest

from tests.support.apache_kafka.jars import LIST, WrongJars, jars, parsed, verify
from tests.support.apache_kafka.java import java, release_of
from tests.support.apache_kafka.properties import Node, properties
from tests.support.requirement import Unavailable, required


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_list_names_the_version_that_docker_compose_runs() -> None:
    """The suite vouches for the broker that operators are shown."""
    compose = (LIST.parents[3] / "docker-compose.yml").read_text()
    [version] = [name.removesuffix(".jar").rpartition("-")[2] for name in parsed(LIST.read_text()) if "kafka_2" in name]
    assert f"apache/kafka:{version}@" in compose


@pytest.mark.parametrize(
    ("files", "named"),
    [
        ({"a.jar": b"A"}, "b.jar"),
        ({"a.jar": b"A", "b.jar": b"C"}, "b.jar"),
        ({"a.jar": b"A", "b.jar": b"B", "c": b""}, "c"),
    ],
    ids=["missing", "changed", "unknown"],
)
def test_folder_that_is_not_exactly_the_list_is_refused(tmp_path: Path, files: dict[str, bytes], named: str) -> None:
    """Nothing is run that nobody has looked at."""
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    with pytest.raises(WrongJars, match=rf"missing, unknown or changed: {named}$"):
        verify(tmp_path, {"a.jar": digest(b"A"), "b.jar": digest(b"B")})


def test_kept_jars_are_used_without_maven_and_still_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second run needs no network, and a file that was changed meanwhile is noticed."""
    monkeypatch.setattr(shutil, "which", lambda _: None)
    listed = tmp_path / "jars.sha256"
    listed.write_text(f"{digest(b'A')}  a.jar\n")
    folder = tmp_path / digest(listed.read_bytes())[:16]
    folder.mkdir()
    (folder / "a.jar").write_bytes(b"A")
    assert jars(listed, tmp_path) == folder
    (folder / "a.jar").write_bytes(b"B")
    with pytest.raises(WrongJars):
        jars(listed, tmp_path)


def test_missing_maven_and_java_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever reads of a skipped test knows what to install; nothing half done stays behind."""
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(Unavailable, match="no mvn on PATH"):
        jars(LIST, tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []
    with pytest.raises(Unavailable, match="no java on PATH; Apache Kafka needs Java 17 or later"):
        java()


@pytest.mark.parametrize(("ci", "outcome"), [("true", pytest.fail.Exception), ("", pytest.skip.Exception)])
def test_what_is_missing_fails_in_ci_and_skips_elsewhere(
    monkeypatch: pytest.MonkeyPatch, ci: str, outcome: type[BaseException]
) -> None:
    """A gate that nobody sees skipped is none."""
    monkeypatch.setenv("CI", ci)
    with pytest.raises(outcome, match="no java"), required():
        raise Unavailable("there is no java")


@pytest.mark.parametrize(
    ("told", "release"),
    [
        ('openjdk version "17.0.15" 2025-04-15', 17),
        ('java version "1.8.0_392"', 8),
        ('openjdk version "21" x', 21),
        ("", None),
    ],
)
def test_release_of_java_is_read(told: str, release: int | None) -> None:
    """Old numbering and new."""
    assert release_of(told) == release


@pytest.mark.parametrize(("brokers", "copies", "in_sync"), [(1, "1", "1"), (3, "3", "2")])
def test_records_are_kept_by_as_many_brokers_as_there_are(brokers: int, copies: str, in_sync: str) -> None:
    """One of three may be lost without a record being lost, or refused."""
    nodes = [Node(number, 9000 + number, 9100 + number) for number in range(brokers)]
    found = properties(nodes[0], nodes, Path("data"))
    assert (found["default.replication.factor"], found["min.insync.replicas"]) == (copies, in_sync)
    assert found["offsets.topic.replication.factor"] == copies
