"""Every error of ours says what an operator or a caller can do about it."""

from pipeline.errors import CannotListen, JobExpired, JobFailed, PipelineError, ServiceUnreachable
from schemas.failures import FAILURES, FailureCode


def test_failed_job_carries_code_words_and_details() -> None:
    """The failure event is made from it and nothing else."""
    details = {"limit": 10, "value": 20}
    error = JobFailed(FailureCode.IMAGE_TOO_LARGE, "image: limit 10 pixels, got 20", details)
    details["value"] = 30
    assert (error.message, str(error)) == ("image: limit 10 pixels, got 20",) * 2
    assert error.kind is FAILURES[FailureCode.IMAGE_TOO_LARGE]
    assert error.details == {"limit": 10, "value": 20}


def test_expired_job_is_a_failed_job_of_its_own_kind() -> None:
    """Whoever handles failures handles it; whoever tells of it can tell it apart."""
    assert isinstance(JobExpired(), JobFailed)
    assert JobExpired().code is FailureCode.EXPIRED


def test_unreachable_service_names_address_and_setting() -> None:
    """One line is enough to mend it."""
    error = ServiceUnreachable("broker", "127.0.0.1:9092", "UPSCALE_KAFKA__SERVERS", "connection refused")
    assert isinstance(error, PipelineError)
    assert str(error) == (
        "cannot reach the broker at 127.0.0.1:9092: connection refused; "
        "set UPSCALE_KAFKA__SERVERS to change the address"
    )


def test_taken_port_names_address_and_setting() -> None:
    """As above, for what we offer ourselves."""
    error = CannotListen("metrics", "127.0.0.1", 9100, "UPSCALE_TELEMETRY__PORT", "address in use")
    assert str(error) == (
        "cannot listen on 127.0.0.1:9100 for metrics: address in use; set UPSCALE_TELEMETRY__PORT to another port"
    )
