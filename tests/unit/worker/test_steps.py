"""Guarantees of pipeline.worker.steps: budgets, deadlines, and whose failure it is when a job ends early."""

import asyncio
from collections.abc import Coroutine
from dataclasses import replace
from typing import Any

import pytest

from pipeline.batching.work import BatchKey
from pipeline.errors import DeviceDied, JobExpired, JobFailed
from pipeline.gpu.models.catalog import find
from pipeline.settings import ImageSettings
from pipeline.storage.objects import SourceRef
from pipeline.worker.outcome import Done
from pipeline.worker.steps import PIXEL_PATH, do, sides_up_to
from schemas.events import UpscaleProgress
from schemas.failures import FAILURES, FailureCode
from schemas.stages import Stage
from tests.support.clock import run_virtual
from tests.support.faces import make_face
from tests.support.networks import NAME
from tests.support.rooms import BEGUN, FOR_FACES, MAX_BYTES, MAX_PIXELS, SIDE, Script, ScriptedRooms, make_job

WAITING_STAGES = (Stage.FETCH, Stage.DECODE, Stage.INFER, Stage.STORE)
"""Those that take time outside our own threads."""


def stopped(scene: ScriptedRooms, work: Coroutine[Any, Any, Done]) -> Exception:
    """What the job raised, with a check that it left nothing held and nothing stored."""
    with pytest.raises(Exception) as caught:
        run_virtual(work)
    assert (scene.bytes[-1], scene.pixels[-1]) == (0, 0)
    assert scene.store.objects == {}
    return caught.value


async def one(scene: ScriptedRooms, **job: Any) -> Done:
    async with scene.open() as rooms:
        return await do(make_job(**job), BEGUN, rooms)


def scene_with(**script: Any) -> ScriptedRooms:
    return ScriptedRooms({1: Script(**script)})


async def test_job_ends_as_an_object_and_the_names_of_what_made_it() -> None:
    """The picture is at its scale, under its own tenant and job, and says which weights and arithmetic it is of."""
    scene = ScriptedRooms({})
    done = await one(scene, scale=2)
    stored = done.stored
    assert (stored.width, stored.height) == (2 * SIDE, 2 * SIDE)
    assert list(scene.store.objects) == [stored.key]
    assert stored.key.startswith("results/acme/job-1/")
    assert (done.provenance.model, done.provenance.weights_sha256, done.provenance.precision) == (
        NAME,
        "0" * 64,
        "fp32",
    )
    assert PIXEL_PATH == "1"


@pytest.mark.parametrize(("order", "models"), [("after", [NAME, *FOR_FACES]), ("before", [*FOR_FACES, NAME])])
async def test_faces_are_restored_in_the_order_asked_for_by_launches_like_all_others(
    order: str, models: list[str]
) -> None:
    """Through the batcher, under the job's own name; the networks that took part are told, and name the object."""
    scene = ScriptedRooms({})
    scene.lane.faces = (make_face(side=4),)
    faces = {"order": order, "min_eye_distance": 0}
    plain, done = await one(scene), await one(scene, face_enhance=True, faces=faces)
    assert [batch.key.model for batch in scene.batches] == [NAME, *models]
    assert [batch.key.height for batch in scene.batches if batch.key.model in FOR_FACES] == [512, 512]
    assert sorted(done.provenance.face_weights_sha256) == ["gfpgan-v1.4", "parsenet", "retinaface-resnet50"]
    assert plain.provenance.face_weights_sha256 == {}
    assert done.stored.key != plain.stored.key


async def test_picture_without_faces_and_job_without_the_wish_for_them_cost_no_launch() -> None:
    """No face is no failure; and nobody looks for what was not asked for."""
    scene = ScriptedRooms({})
    await one(scene)
    assert scene.lane.looked_for_faces == 0
    await one(scene, face_enhance=True)
    assert scene.lane.looked_for_faces == 1
    assert [batch.key.model for batch in scene.batches] == [NAME, NAME]


async def test_job_reserves_the_largest_source_and_picture_and_keeps_what_came() -> None:
    """Nothing is fetched or decoded that might not fit, and what turns out small makes room for others."""
    scene = ScriptedRooms({})
    await one(scene)
    assert scene.bytes == [0, MAX_BYTES, len("job-1"), 0]
    assert scene.pixels == [0, MAX_PIXELS, SIDE * SIDE, 0]


@pytest.mark.parametrize("stage", WAITING_STAGES)
def test_deadline_cancels_what_is_under_way_and_the_job_has_expired(stage: Stage) -> None:
    """At the deadline and not later, whatever it waits for: nothing is stored, all that was held is given back."""
    scene = scene_with(seconds={stage: 60.0})
    ended: list[float] = []

    async def work() -> Done:
        try:
            return await one(scene, deadline=5.0)
        finally:
            ended.append(asyncio.get_running_loop().time())

    assert type(stopped(scene, work())) is JobExpired
    assert ended == [5.0]
    assert scene.cancelled == [("job-1", stage)]


def test_deadline_ends_the_wait_for_a_budget_too() -> None:
    """A job that expires in the queue before a budget leaves it, and those behind it are not held up."""
    scene = ScriptedRooms({1: Script(seconds={Stage.FETCH: 60.0})})

    async def three() -> list[Done | BaseException]:
        async with scene.open() as rooms:
            jobs = (make_job(1), make_job(2, deadline=5.0), make_job(3))
            return await asyncio.gather(*(do(job, BEGUN, rooms) for job in jobs), return_exceptions=True)

    first, second, third = run_virtual(three())
    assert isinstance(first, Done)
    assert isinstance(second, JobExpired)
    assert isinstance(third, Done)
    assert ("job-2", Stage.FETCH) not in scene.begun
    assert scene.bytes[-1] == 0


@pytest.mark.parametrize("deadline", [0.0, -3600.0])
def test_job_that_expired_before_it_began_contacts_nobody(deadline: float) -> None:
    """No work is done for a result that is of no use; a backlog of such jobs costs no source its bandwidth."""
    scene = ScriptedRooms({})
    assert type(stopped(scene, one(scene, deadline=deadline))) is JobExpired
    assert scene.begun == []


@pytest.mark.parametrize("stage", WAITING_STAGES)
def test_failure_of_a_step_is_the_jobs_own_and_gives_everything_back(stage: Stage) -> None:
    """The code that the step gave is what the caller hears, and the next job finds the budgets whole."""
    scene = scene_with(errors={stage: JobFailed(FailureCode.SOURCE_STATUS, "no")})
    error = stopped(scene, one(scene, deadline=5.0))
    assert isinstance(error, JobFailed)
    assert (error.code, type(error)) == (FailureCode.SOURCE_STATUS, JobFailed)


@pytest.mark.parametrize(
    ("source", "waits"),
    [(SourceRef("https", "https://e.com/job-1"), False), (SourceRef("upload", "upload:/job-1", "b", "k"), True)],
    ids=["web", "store"],
)
def test_only_a_source_that_lies_in_the_store_waits_for_it_and_tells_that_it_is_back(
    source: SourceRef, waits: bool
) -> None:
    """What the web answers, be it a failure, lets nobody on who waits for the store."""
    scene = scene_with(errors={Stage.FETCH: JobFailed(FailureCode.SOURCE_STATUS, "no")})

    async def away() -> None:
        raise JobFailed(FailureCode.STORE_UNAVAILABLE, "away")

    async def asked() -> tuple[bool, bool]:
        async with scene.open() as rooms:
            waiting = asyncio.create_task(rooms.store_breaker.call(away))
            await asyncio.sleep(0)
            with pytest.raises(JobFailed, match="no"):
                await do(replace(make_job(), source=source), BEGUN, rooms)
            seen = asyncio.get_running_loop().time() > 0.0, not rooms.store_breaker.open
            waiting.cancel()
        return seen

    assert run_virtual(asked()) == (waits, waits)


def test_timeout_that_is_not_the_deadlines_is_not_told_as_expiry() -> None:
    """A caller who set no deadline, or whose deadline is far, is never told that it passed."""
    scene = scene_with(errors={Stage.FETCH: TimeoutError()})
    assert type(stopped(scene, one(scene, deadline=3600.0))) is TimeoutError


@pytest.mark.parametrize("stage", WAITING_STAGES)
def test_device_death_is_never_the_jobs_failure(stage: Stage) -> None:
    """Whatever fails on a worker whose device is dead, another worker does the job: nothing is told, nothing let go."""
    scene = scene_with(errors={stage: JobFailed(FailureCode.DEVICE_FAILED, "dead")})
    scene.lane.die()
    assert type(stopped(scene, one(scene))) is DeviceDied


def test_device_death_is_known_before_the_event_loop_has_heard_of_it() -> None:
    """The device's thread says so first; a job that is refused in the same moment must not be told as failed."""
    scene = scene_with(errors={Stage.INFER: JobFailed(FailureCode.DEVICE_FAILED, "dead")})
    scene.lane.closed = True
    assert not scene.lane.failed.is_set()
    assert type(stopped(scene, one(scene))) is DeviceDied


@pytest.mark.parametrize("stage", WAITING_STAGES)
def test_cancelled_job_gives_everything_back(stage: Stage) -> None:
    """A worker that gives up what it holds leaks no budget and leaves no step running."""
    scene = scene_with(seconds={stage: 60.0})

    async def cancelled() -> None:
        async with scene.open() as rooms:
            working = asyncio.create_task(do(make_job(), BEGUN, rooms))
            await asyncio.sleep(1.0)
            working.cancel()
            await asyncio.wait([working])
            assert working.cancelled()

    run_virtual(cancelled())
    assert scene.cancelled == [("job-1", stage)]
    assert (scene.bytes[-1], scene.pixels[-1]) == (0, 0)
    assert scene.store.objects == {}


def test_job_fails_when_its_model_was_loaded_again_from_other_weights() -> None:
    """Its result would be stored under weights that did not make it. Another try has the new ones from the start."""
    scene = ScriptedRooms({})
    scene.lane.launched = replace(scene.lane.prepared, weights_sha256="1" * 64)

    error = stopped(scene, one(scene))

    assert isinstance(error, JobFailed)
    assert FAILURES[error.code].retryable


def test_job_runs_at_its_strength_and_in_windows_of_whole_blocks() -> None:
    """Jobs of one strength share launches, and no window holds part of a network's block."""
    choosing = replace(find(NAME), denoiser=find(NAME).official, multiple=8)
    scene = ScriptedRooms({number: Script(side=5) for number in (1, 2)})

    async def two() -> None:
        async with scene.open() as rooms:
            jobs = [
                replace(make_job(number, denoise_strength=0.301, tile_size=32), model=choosing) for number in (1, 2)
            ]
            await asyncio.gather(*(do(job, BEGUN, rooms) for job in jobs))

    run_virtual(two())
    assert {batch.key for batch in scene.batches} == {BatchKey(f"{NAME}@denoise=0.30", 8, 8)}


async def test_result_names_the_precision_that_its_network_ran_in() -> None:
    """Which may be a wider one than the device's."""
    scene = ScriptedRooms({})
    scene.lane.prepared = scene.lane.launched = replace(scene.lane.prepared, precision="bf16")

    assert (await one(scene)).provenance.precision == "bf16"


async def test_result_too_large_is_refused_before_the_device_is_asked() -> None:
    """The size of the result follows from the header and the options, so nothing is computed for it."""
    scene = ScriptedRooms({})
    limits = ImageSettings(max_pixels=MAX_PIXELS, max_output_pixels=(2 * SIDE) ** 2 - 1)
    async with scene.open(limits=limits) as rooms:
        with pytest.raises(JobFailed) as failed:
            await do(make_job(scale=2), BEGUN, rooms)
    assert failed.value.code is FailureCode.OUTPUT_TOO_LARGE
    assert scene.batches == []


@pytest.mark.parametrize(
    ("asked", "size", "launches"),
    [
        ({"scale": 8}, (32, 32), 1),
        ({"scale": 8, "beyond_native": "repeat"}, (32, 32), 2),
        ({"scale": 0.5}, (2, 2), 1),
        ({"scale": 1, "beyond_native": "repeat"}, (4, 4), 1),
        ({"width": 30}, (30, 30), 1),
        ({"width": 30, "height": 7}, (7, 7), 1),
        ({"height": 1}, (1, 1), 1),
        ({"height": 18, "beyond_native": "repeat"}, (18, 18), 2),
    ],
)
async def test_result_has_exactly_the_size_that_was_asked_for(
    asked: dict[str, object], size: tuple[int, int], launches: int
) -> None:
    """By a factor or by a side, in one pass or in two, larger or smaller."""
    scene = ScriptedRooms({})
    async with scene.open(limits=ImageSettings(max_pixels=(4 * SIDE) ** 2)) as rooms:
        stored = (await do(make_job(**asked), BEGUN, rooms)).stored
    assert (stored.width, stored.height) == size
    assert len(scene.batches) == launches


async def test_second_pass_is_given_the_first_ones_whole_result() -> None:
    """Not one that was reduced to the scale asked for; and it is counted against the budget as a source is."""
    scene = ScriptedRooms({})
    limit = (4 * SIDE) ** 2
    async with scene.open(limits=ImageSettings(max_pixels=limit)) as rooms:
        await do(make_job(scale=5, beyond_native="repeat"), BEGUN, rooms)
    assert [batch.tiles[0].shape for batch in scene.batches] == [(8, 8, 3), (16, 16, 3)]
    assert scene.pixels == [0, limit, limit, 0]


async def test_passes_that_would_make_too_large_a_source_are_refused_before_the_device_is_asked() -> None:
    """What the first pass costs is not spent on a job that the second one must refuse."""
    scene = ScriptedRooms({})
    async with scene.open(limits=ImageSettings(max_pixels=(4 * SIDE) ** 2 - 1)) as rooms:
        with pytest.raises(JobFailed, match="beyond_native") as failed:
            await do(make_job(scale=5, beyond_native="repeat"), BEGUN, rooms)
    assert failed.value.code is FailureCode.INVALID_OPTIONS
    assert scene.batches == []
    assert scene.pixels[-1] == 0


@pytest.mark.parametrize(("metadata", "kept"), [("keep", True), ("strip", False)])
async def test_decoder_is_asked_for_metadata_only_when_the_caller_wants_it(metadata: str, kept: bool) -> None:
    """Where a photograph was taken leaves the source only by the caller's wish."""
    scene = ScriptedRooms({})
    await one(scene, metadata=metadata)
    assert scene.kept_exif == [kept]


def test_jobs_that_wait_for_the_device_share_their_launch() -> None:
    """Two callers' tiles go to the device together: what the whole service is for."""
    scene = scene_with(seconds={Stage.INFER: 1.0})

    async def three() -> None:
        async with scene.open(budget=3) as rooms:
            await asyncio.gather(*(do(make_job(number), BEGUN, rooms) for number in (1, 2, 3)))

    run_virtual(three())
    assert sorted((batch.jobs, len(batch.tiles)) for batch in scene.batches) == [(1, 1), (2, 2)]
    assert len(scene.store.objects) == 3


def test_progress_is_told_while_a_job_runs_and_never_after_its_end() -> None:
    """Launches that come back once the job has expired say nothing any more."""
    scene = scene_with(seconds={Stage.INFER: 2.0}, side=64)

    async def work() -> Done:
        async with scene.open(limits=ImageSettings()) as rooms:
            try:
                return await do(make_job(deadline=5.0, tile_size=32, tile_pad=8), BEGUN, rooms)
            finally:
                told = len(scene.announced)
                await asyncio.sleep(60.0)
                assert len(scene.announced) == told

    assert type(stopped(scene, work())) is JobExpired
    told = [event for event in scene.announced if isinstance(event, UpscaleProgress)]
    assert [(event.job_id, event.stage, event.tiles_done, event.tiles_total) for event in told] == [
        ("job-1", Stage.BATCH, 2, 9),
        ("job-1", Stage.BATCH, 4, 9),
    ]


@pytest.mark.parametrize(
    ("largest", "allowed"),
    [(None, (8, 16, 32)), (32, (8, 16, 32)), (31, (8, 16)), (8, (8,)), (7, (8,))],
)
def test_requested_tile_size_bounds_the_windows_but_leaves_at_least_one(
    largest: int | None, allowed: tuple[int, ...]
) -> None:
    """A caller may ask for smaller windows than the device likes, never for ones that it does not have."""
    assert sides_up_to((8, 16, 32), largest) == allowed
