from dataclasses import replace

import pytest

from pipeline.storage.keys import ResultIdentity, result_key, together, upload_key
from schemas.options import UpscaleOptions
from tests.support.store import make_identity


def test_result_key_is_the_same_for_the_same_request() -> None:
    """A repeat arrives at the same place, today and after an upgrade: the value is pinned."""
    key = result_key(make_identity())
    assert key == result_key(make_identity())
    assert key == "results/acme/job-1/ec1b7bb8b58e5be8dd24ba52e480bbbc1e5325e760547d27d342413df14305c4.png"


@pytest.mark.parametrize(
    "other",
    [
        make_identity(scale=2),
        make_identity(output_format="webp"),
        make_identity(face_enhance=True),
        make_identity(metadata="keep"),
        make_identity(job_id="job-2"),
        make_identity(tenant="other"),
        replace(make_identity(), model="realesr-animevideov3"),
        replace(make_identity(), weights_sha256="00" * 32),
        replace(make_identity(), pixel_path="2"),
        replace(make_identity(), source="https://pictures.example/dog.png"),
    ],
)
def test_result_key_differs_when_the_picture_may(other: ResultIdentity) -> None:
    """Whatever the pixels depend on is in the key: an older result never passes for a newer one."""
    assert result_key(make_identity()) != result_key(other)


def test_result_key_does_not_depend_on_how_options_are_spelt() -> None:
    """Defaults written out and other spellings of the model mean the same picture."""
    plain = make_identity()
    spelt = replace(plain, options=UpscaleOptions(model="RealESRGAN_x4plus", scale=4, quality=95))
    assert result_key(plain) == result_key(spelt)


@pytest.mark.parametrize(("name", "extension"), [("png", "png"), ("jpeg", "jpg"), ("webp", "webp")])
def test_result_key_ends_in_the_usual_extension(name: str, extension: str) -> None:
    """People and file managers read the extension."""
    assert result_key(make_identity(output_format=name)).endswith(f".{extension}")


def test_digest_of_several_networks_tells_which_and_in_which_order() -> None:
    """One network keeps its own, so that what was stored before is still found."""
    assert together("ab") == "ab"
    assert len({together("ab", "cd"), together("cd", "ab"), together("ab", "cd", "ef"), "ab"}) == 4
    assert len(together("ab", "cd")) == 64


def test_upload_key_lies_under_its_tenant() -> None:
    """Uploads of tenants lie apart."""
    assert upload_key("acme", "cat.png") == "uploads/acme/cat.png"
