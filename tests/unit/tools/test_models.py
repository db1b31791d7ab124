"""What `upscale models` does and prints."""

import argparse
import asyncio
from pathlib import Path

import orjson
import pytest

from pipeline.errors import JobFailed, PipelineError
from pipeline.gpu.models import weights
from pipeline.gpu.models.catalog import MODELS, find
from pipeline.gpu.models.parameters import to_safetensors
from pipeline.gpu.models.specs import ModelSpec
from pipeline.gpu.models.standing import Place, Standing
from pipeline.gpu.networks.upstream import RRDBNet
from pipeline.model_settings import ModelSettings
from pipeline.settings import DeviceSettings, InvalidSettings, Settings
from pipeline.tools import model_get, model_lines, models
from pipeline.tools.model_lines import Shown
from pipeline.tools.model_pull import Pulled, parcels
from schemas.failures import FailureCode
from tests.support.hostile_http import HostileServer, answer, hostile_server
from tests.support.published import publishing, weights_file

SMALL = "realesr-animevideov3"


class Command:
    """`upscale models` with a models folder of its own."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self._capsys = capsys

    def __call__(self, *words: str, **settings: object) -> tuple[int, list[str]]:
        """Exit code and lines."""
        parser = argparse.ArgumentParser()
        models.add_arguments(parser)
        config = Settings(device=DeviceSettings(models_dir=self.folder), models=ModelSettings.model_validate(settings))
        code = models.main(parser.parse_args(words), config)
        return code, self._capsys.readouterr().out.splitlines()


@pytest.fixture
def command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Command:
    return Command(tmp_path / "models", capsys)


@pytest.fixture
def own_file(tmp_path: Path) -> Path:
    """Weights of an operator's own, small."""
    path = tmp_path / "mine.safetensors"
    path.write_bytes(to_safetensors(RRDBNet(3, 3, scale=4, num_feat=8, num_block=1).state_dict()))
    return path


def test_list_tells_every_model_and_where_its_weights_are(command: Command) -> None:
    code, lines = command("list")
    assert code == 0
    assert lines[0].split() == ["name", "scale", "purpose", "MiB", "weights", "licence"]
    by_name = {line.split()[0]: line.split() for line in lines[1:-1]}
    assert list(by_name) == [spec.name for spec in MODELS]
    assert by_name["realesrgan-x4plus"][1:] == ["4x", "upscale", "31.88", "install", "BSD-3-Clause"]
    assert by_name["realesrgan-x2plus"][1:] == ["2x", "upscale", "63.96", "absent", "BSD-3-Clause"]
    assert by_name["codeformer"][4:7] == ["absent,", "not", "served"]
    assert lines[-1] == f"{command.folder}: 0.00 MiB"


def test_list_for_a_program_has_what_the_documented_interface_shows(command: Command) -> None:
    _, lines = command("list", "--json", disabled=(SMALL,))
    told = {document["name"]: document for document in map(orjson.loads, lines)}
    assert told["realesrgan-x4plus"]["available"] is True
    assert told["realesrgan-x4plus"]["size_bytes"] == 33_424_520
    assert told["realesrgan-x4plus"]["size_mb"] == 31.88
    assert told["realesrgan-x4plus"]["description"] == "photographs and mixed content"
    assert (told[SMALL]["available"], told[SMALL]["served"], told[SMALL]["weights"]) == (False, False, "install")
    assert told["swinir-real-l-x4"]["available"] is False


def test_info_tells_all_that_is_known_of_a_model(command: Command) -> None:
    code, lines = command("info", "GFPGANv1.4")
    told = dict(line.split(maxsplit=1) for line in lines)
    assert code == 0
    assert told["name"] == "gfpgan-v1.4"
    assert told["architecture"] == "GFPGANv1Clean"
    assert "NVIDIA's StyleGAN2 licence" in told["licence"]
    assert told["published"].endswith(f"sha256 {find('gfpgan').official.sha256})")
    assert command("info", "gfpgan", "--json")[1] == [
        orjson.dumps(model_lines.document(Shown(find("gfpgan"), Standing(Place.ABSENT), None))).decode()
    ]


@pytest.mark.parametrize(
    "words", [(action, "x4plus", "x5plus") for action in ("pull", "verify", "remove")] + [("info", "x5plus")]
)
def test_unknown_name_is_told_with_the_known_ones(command: Command, words: tuple[str, ...]) -> None:
    """Before anything is done."""
    with pytest.raises(JobFailed, match=r"must be one of realesrgan-x4plus, .*got 'x5plus'") as failed:
        command(*words)
    assert failed.value.code is FailureCode.MODEL_NOT_FOUND
    assert not command.folder.exists()


def test_import_verify_and_remove(command: Command, own_file: Path) -> None:
    """A model of one's own is listed, verified, told when damaged, and gone when removed."""
    code, (said,) = command("import", "mine", str(own_file), "--licence", "CC0-1.0", "--author", "me")
    assert (code, said) == (0, "mine: ESRGAN 8nf 1nb, 4x; workers know it from their next start")
    assert next(line for line in command("list")[1] if line.startswith("mine ")).split()[3:] == [
        "0.87", "folder", "CC0-1.0",
    ]  # fmt: skip
    told = dict(line.split(maxsplit=1) for line in command("info", "mine")[1])
    assert told["architecture"] == "ESRGAN 8nf 1nb"
    assert command("verify", "mine") == (0, ["mine: ok"])
    assert command("verify")[1][-1] == "mine: ok"

    (command.folder / "mine.safetensors").write_bytes(b"damaged")
    code, (said,) = command("verify", "mine")
    assert code == 1
    assert said.startswith(f"mine: {command.folder / 'mine.safetensors'}: sha256 must be ")

    assert command("remove", "mine") == (0, ["mine: removed mine.json, mine.safetensors"])
    assert list(command.folder.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("x4plus", "NAME: 'x4plus' is taken"),
        ("RealESRGAN-x4plus.PTH", "NAME: 'RealESRGAN-x4plus.PTH' is taken"),
        ("Mine", "NAME: must be 1 to 64 of a-z"),
        ("../mine", "NAME: must be 1 to 64 of a-z"),
        ("", "NAME: must be 1 to 64 of a-z"),
    ],
)
def test_import_under_a_name_that_cannot_be_is_refused(command: Command, own_file: Path, name: str, told: str) -> None:
    with pytest.raises(PipelineError, match=told):
        command("import", name, str(own_file), "--licence", "CC0-1.0")
    assert not command.folder.exists()


def test_import_under_a_name_that_reads_as_another_is_refused(command: Command, own_file: Path) -> None:
    command("import", "mine", str(own_file), "--licence", "CC0-1.0")
    with pytest.raises(PipelineError, match="'m-i-n-e' is taken"):
        command("import", "m-i-n-e", str(own_file), "--licence", "CC0-1.0")


@pytest.mark.parametrize("name", ["realesr-general-wdn-x4v3", "gfpganv1.4"])
def test_import_under_the_name_of_a_published_file_is_refused(command: Command, own_file: Path, name: str) -> None:
    """It would lie where the weights of that file lie, and take their place."""
    with pytest.raises(PipelineError, match=r"^NAME: .* is taken"):
        command("import", name, str(own_file), "--licence", "CC0-1.0")
    assert not command.folder.exists()


@pytest.mark.parametrize("text", ["x" * 501, "two\nlines", "\udcff"])
@pytest.mark.parametrize("option", ["--licence", "--author"])
def test_import_with_words_that_no_manifest_holds_names_the_option(
    command: Command, own_file: Path, option: str, text: str
) -> None:
    """And not the file of weights, which is sound."""
    given = {"--licence": "CC0-1.0", "--author": "me", option: text}
    with pytest.raises(PipelineError, match=f"^{option}: must be one line of at most 500 printable characters, got "):
        command("import", "mine", str(own_file), *(word for pair in given.items() for word in pair))


@pytest.mark.parametrize("words", ["list", "info x4plus", "verify", "remove x4plus"])
def test_models_folder_that_is_a_file_is_told_by_its_setting(command: Command, words: str) -> None:
    command.folder.write_text("")
    with pytest.raises(PipelineError, match=r"^UPSCALE_DEVICE__MODELS_DIR: must be a folder, got the file "):
        command(*words.split())


def test_import_needs_a_licence_and_a_file(command: Command, own_file: Path, tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        command("import", "mine", str(own_file))
    with pytest.raises(PipelineError, match="--licence: must name the licence"):
        command("import", "mine", str(own_file), "--licence", " ")
    with pytest.raises(PipelineError, match="cannot be read"):
        command("import", "mine", str(tmp_path / "nothing.pth"), "--licence", "CC0-1.0")
    (tmp_path / "text.pth").write_text("no weights")
    with pytest.raises(PipelineError, match=r"text\.pth: not a file of tensors"):
        command("import", "mine", str(tmp_path / "text.pth"), "--licence", "CC0-1.0")
    assert not command.folder.exists()


def test_pull_from_a_folder_that_lacks_one_file_says_so_and_fails(command: Command, tmp_path: Path) -> None:
    """What a restorer needs is asked for with it, and each has its own end."""
    code, lines = command("pull", "gfpgan", "--from", str(tmp_path))
    assert code == 1
    assert [line.split(":")[0] for line in lines] == ["gfpgan-v1.4", "retinaface-resnet50", "parsenet"]
    assert all("cannot be read: No such file or directory" in line for line in lines)

    code, (line,) = command("pull", "gfpgan", "--json", mirror=str(tmp_path))
    told = orjson.loads(line)
    assert code == 1
    assert (told["success"], told["downloaded"], told["failed"]) == (
        False, [], ["gfpgan-v1.4", "retinaface-resnet50", "parsenet"],
    )  # fmt: skip
    assert "GFPGANv1.4.pth: cannot be read" in told["errors"]["gfpgan-v1.4"]


def test_pull_from_a_place_of_another_kind_is_refused_at_once(command: Command) -> None:
    with pytest.raises(PipelineError, match="must be a folder, or an https, http or file address"):
        command("pull", "x2plus", "--from", "ftp://mirror.example")


def test_pull_of_a_model_that_is_not_served_is_refused_with_its_licence(command: Command) -> None:
    with pytest.raises(JobFailed, match=r"S-Lab License 1\.0: not for commercial use"):
        command("pull", "codeformer")


def test_misspelt_model_in_a_setting_stops_every_action(command: Command) -> None:
    with pytest.raises(InvalidSettings, match="UPSCALE_MODELS__DISABLED: no model is called 'x5plus'"):
        command("list", disabled=("x5plus",))


def test_remove_leaves_what_comes_with_the_install(command: Command) -> None:
    assert command("remove", SMALL) == (
        1, [f"{SMALL}: nothing of it is in the folder; those that come with the install stay"],
    )  # fmt: skip


def test_verify_of_a_model_without_weights_fails(command: Command) -> None:
    assert command("verify", "x2plus") == (1, ["realesrgan-x2plus: no weights are here"])


def test_one_failed_file_fails_its_model_and_no_other() -> None:
    """A model of two files is downloaded when both are."""
    general, x2plus, net = find("realesr-general-x4v3"), find("x2plus"), find("realesrnet")
    first, second = (Pulled(parcel) for parcel in parcels([general]))
    done = [first, Pulled(second.parcel, "Network error"), Pulled(parcels([x2plus])[0])]
    specs: list[ModelSpec] = [general, x2plus, net]
    assert model_get.report(specs, done) == {
        "success": False,
        "message": "Downloaded 1 model(s)",
        "downloaded": ["realesrgan-x2plus"],
        "failed": ["realesr-general-x4v3"],
        "errors": {"realesr-general-x4v3": "Network error"},
        "already_installed": ["realesrnet-x4plus"],
    }
    assert model_get.lines(specs, done) == [
        "realesr-general-x4v3: failed: Network error",
        "realesrgan-x2plus: installed; licence: BSD-3-Clause",
        "realesrnet-x4plus: already installed",
    ]


async def test_pull_fetches_what_is_lacking_or_damaged_and_nothing_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through a server, and as the command runs it."""
    monkeypatch.delenv("http_proxy", raising=False)
    blob = weights_file()
    spec, folder = publishing(blob), tmp_path / "models"

    async def pull(server: HostileServer) -> tuple[int, str]:
        arguments = argparse.Namespace(source=server.url(""), json=False)
        code = await asyncio.to_thread(model_get.pull, arguments, ModelSettings(), [spec], folder)
        return code, capsys.readouterr().out.strip()

    async with hostile_server(answer(b"busy", status=503), answer(blob)) as server:
        assert await pull(server) == (1, "tiny: failed: tiny.pth: the server answered 503 X")
        assert await pull(server) == (0, "tiny: installed; licence: BSD-3-Clause")
        assert await pull(server) == (0, "tiny: already installed")
        assert len(server.requests) == 2
        (folder / "tiny.safetensors").write_bytes(b"damaged")
        assert await pull(server) == (0, "tiny: installed; licence: BSD-3-Clause")
    assert weights.load(spec, folder).sha256 == spec.official.sha256
