"""The failure table is complete and does not contradict itself."""

import pytest

from schemas.failures import FAILURES, FailureCode, Fault
from schemas.stages import Stage


def test_every_code_has_a_row() -> None:
    """A code without a row would crash the one path that must not: telling of a failure."""
    assert set(FAILURES) == set(FailureCode)


@pytest.mark.parametrize("code", FailureCode)
def test_row_agrees_with_itself(code: FailureCode) -> None:
    """The caller's own mistakes fail again and are 4xx; a source's troubles may pass; ours are never the caller's."""
    kind = FAILURES[code]
    assert 400 <= kind.http_status < 600
    if kind.fault is Fault.CALLER:
        assert not kind.retryable
        assert kind.http_status < 500
    if kind.fault is Fault.SOURCE:
        assert kind.retryable
        assert kind.stage is Stage.FETCH
    if kind.http_status >= 500:
        assert kind.fault is not Fault.CALLER


@pytest.mark.parametrize("code", FailureCode)
def test_row_has_a_sentence_of_its_own(code: FailureCode) -> None:
    """The sentence is what readers of the code get to see."""
    meaning = FAILURES[code].meaning
    assert meaning.endswith(".")
    assert [other for other in FailureCode if FAILURES[other].meaning == meaning] == [code]


@pytest.mark.parametrize("prefix", ["source", "image", "store"])
def test_code_names_its_stage(prefix: str) -> None:
    """A code's first word leads to the stage, and so to the module."""
    stages = {FAILURES[code].stage for code in FailureCode if code.startswith(f"{prefix}_")}
    assert stages == {{"source": Stage.FETCH, "image": Stage.DECODE, "store": Stage.STORE}[prefix]}


def test_codes_are_the_same_for_ever() -> None:
    """Pinned: a code may be added but never change its spelling, for programs compare it."""
    assert {str(code) for code in FailureCode} >= {
        "invalid_request", "invalid_options", "model_not_found", "model_not_available", "expired",
        "url_scheme_not_allowed", "url_blocked", "source_status", "source_unavailable", "source_unreachable",
        "source_tls_error", "source_protocol_error", "source_encoding_unsupported", "source_too_many_redirects",
        "source_too_large", "source_truncated", "source_timeout", "source_empty", "image_format_unsupported",
        "image_corrupt", "image_truncated", "image_too_large", "image_too_small", "image_aspect_unsupported",
        "image_metadata_too_large", "image_too_complex", "image_decode_timeout", "image_decoder_crashed",
        "output_too_large", "device_out_of_memory", "device_failed", "store_unavailable", "broker_unavailable",
        "internal",
    }  # fmt: skip
