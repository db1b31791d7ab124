"""What the deployment files say, read as their tools read them."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

Document = dict[str, Any]

ROOT = Path(__file__).resolve().parents[2]
OPS = ROOT / "ops"
IMAGES = ("upscale-worker", "upscale-base")


@dataclass(frozen=True, slots=True)
class Command:
    """One command line of our program, and the file that has it. `words` begins after `upscale`."""

    where: str
    image: str
    words: tuple[str, ...]


def compose() -> Document:
    """The compose file with its merge keys resolved."""
    return _mapping(yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8")))


def services() -> dict[str, Document]:
    """Services of the compose file by name."""
    return dict(compose()["services"])


def environment(service: Document) -> dict[str, str]:
    """What a service finds in its environment when the one who starts it sets nothing."""
    default = re.compile(r"\$\{[A-Z_]+:-([^}]*)\}")
    return {name: default.sub(r"\1", value) for name, value in service["environment"].items()}


def kubernetes() -> tuple[Document, ...]:
    """Every object of `ops/kubernetes`, kustomizations left out."""
    return tuple(
        _mapping(document)
        for path in sorted((OPS / "kubernetes").rglob("*.yaml"))
        if path.name != "kustomization.yaml"
        for document in yaml.safe_load_all(path.read_text(encoding="utf-8"))
    )


def pod_specs() -> dict[str, Document]:
    """The pod template's spec of each object that has one, by `Kind/name`."""
    return {
        f"{document['kind']}/{document['metadata']['name']}": document["spec"]["template"]["spec"]
        for document in kubernetes()
        if "template" in document.get("spec", {})
    }


def dockerfiles() -> dict[str, str]:
    """Our Dockerfiles by the name of the image they make, continued lines joined and comments removed."""
    return {f"upscale-{path.stem}": _instructions(path) for path in sorted((OPS / "docker").glob("*.Dockerfile"))}


def commands() -> tuple[Command, ...]:
    """Every command line of ours that the deployment files, the Makefile and the README run."""
    return (*_compose_commands(), *_kubernetes_commands(), *_image_commands(), *_typed_commands())


def _compose_commands() -> Iterator[Command]:
    for name, service in services().items():
        image = service["image"].partition(":")[0]
        if image in IMAGES:
            yield Command(f"docker-compose.yml {name}", image, tuple(service["command"]))


def _kubernetes_commands() -> Iterator[Command]:
    for name, spec in pod_specs().items():
        for container in spec["containers"]:
            yield Command(name, container["image"], tuple(container["args"]))


def _image_commands() -> Iterator[Command]:
    for image, text in dockerfiles().items():
        for words in re.findall(r"^CMD (\[.*\])$", text, re.MULTILINE):
            yield Command(image, image, tuple(yaml.safe_load(words)))


def _typed_commands() -> Iterator[Command]:
    for path, pattern in ((ROOT / "Makefile", r"^\t\$\(BIN\)/upscale (.+)$"), (ROOT / "README.md", r"^upscale (.+)$")):
        for line in re.findall(pattern, path.read_text(encoding="utf-8"), re.MULTILINE):
            yield Command(path.name, "", tuple(shlex.split(line, comments=True)))


def _instructions(path: Path) -> str:
    joined = path.read_text(encoding="utf-8").replace("\\\n", " ")
    return "\n".join(" ".join(line.split()) for line in joined.splitlines() if line and not line.startswith("#"))


def _mapping(document: object) -> Document:
    assert isinstance(document, dict)
    return document
