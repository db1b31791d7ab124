"""Images and locks hold what they should and nothing that moves by itself."""

import re

import pytest

from tests.support.deployment import ROOT, commands, dockerfiles

REQUIREMENTS = ROOT / "requirements"
LOCKS = sorted(path.name for path in REQUIREMENTS.glob("*.txt") if not path.name.startswith("overrides"))
IMAGES = pytest.mark.parametrize("text", dockerfiles().values(), ids=dockerfiles())
PIN = re.compile(r"^(?P<name>[a-z0-9._-]+)==(?P<version>[^ ]+)", re.MULTILINE)


def _lock(name: str) -> str:
    return (REQUIREMENTS / name).read_text(encoding="utf-8")


def _pins(name: str) -> set[tuple[str, str]]:
    return {(pin["name"], pin["version"]) for pin in PIN.finditer(_lock(name))}


def _names(name: str) -> set[str]:
    return {package for package, _ in _pins(name)}


@IMAGES
def test_base_image_is_pinned_by_digest(text: str) -> None:
    """Building the same tree again begins from the same bytes."""
    bases = re.findall(r"^FROM (\S+)", text, re.MULTILINE)

    assert bases
    assert all(re.search(r":[\d.]+-\S+@sha256:[0-9a-f]{64}$", base) for base in bases)


@IMAGES
def test_image_runs_as_a_numbered_user_without_a_shell(text: str) -> None:
    """Kubernetes can see that the user is not root, and signals reach the program itself."""
    final = text.rpartition("\nFROM ")[2]

    assert re.findall(r"^USER (.+)$", final, re.MULTILINE) == ["10001:10001"]
    assert re.findall(r"^ENTRYPOINT (.+)$", final, re.MULTILINE) == ['["upscale"]']
    assert re.search(r"^CMD \[", final, re.MULTILINE)
    assert re.search(r"^HEALTHCHECK ", final, re.MULTILINE)


@IMAGES
def test_image_installs_only_what_a_lock_names(text: str) -> None:
    """Every install is checked by hash, or made from what is already there."""
    installs = re.findall(r"pip (?:install|wheel) [^&\n]*", text)

    assert installs
    assert all("--no-deps" in line and ("--require-hashes" in line or "--no-index" in line) for line in installs)


@IMAGES
def test_image_names_no_address(text: str) -> None:
    """Where packages come from is the builder's configuration."""
    assert not re.search(r"https?://(?!127\.0\.0\.1[:/])|index-url", text)


def test_image_without_torch_never_runs_a_worker() -> None:
    """The small image is given only what it can do."""
    assert {c.words[0] for c in commands() if c.image == "upscale-base"}.isdisjoint({"worker", "up", "demo", "bench"})
    assert "worker.txt" not in dockerfiles()["upscale-base"]


@pytest.mark.parametrize("name", LOCKS)
def test_lock_pins_every_package_by_hash(name: str) -> None:
    """No line is left open, and none says where a package comes from."""
    blocks = re.split(r"\n(?=\S)", _lock(name).strip())

    assert blocks
    assert all(PIN.match(block) and "--hash=sha256:" in block for block in blocks)


def test_locks_agree_on_every_version() -> None:
    """What is tested is what runs: the smaller locks are parts of the larger ones."""
    for lock in ("base.txt", "worker.txt", "build.txt"):
        assert _pins(lock) < _pins("dev.txt")


def test_base_lock_is_free_of_torch() -> None:
    """Gateways and tools do not carry gigabytes they never import."""
    heavy = {"torch", "torchvision", "realesrgan", "gfpgan", "basicsr", "facexlib", "numpy", "opencv-python-headless"}

    assert heavy <= _names("worker.txt")
    assert _names("base.txt").isdisjoint(heavy)
