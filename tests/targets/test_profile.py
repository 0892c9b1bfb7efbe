"""Profiles of inferences on emulated cores: blocks that add up to the counts, and traffic that has a floor."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tiny_models

from compress.targets import Session, encode
from compress.targets.answers import Profile
from compress.targets.cores import CORES

SHARED_KIB = 5120
FMLA = 0x0E20CC00, 0xBF20FC00
FMLA_BY_ELEMENT = 0x0F801000, 0xBF80F400


@pytest.fixture(scope="module")
def sample(host: Session, models: Path) -> np.ndarray:
    return encode(host.describe(models / "float.tflite").inputs[0], tiny_models.images(1))


def count_multiplies(profile: Profile) -> int:
    return sum(
        block.executions
        for block in profile.blocks
        for word in block.words
        if any(word & mask == value for value, mask in (FMLA, FMLA_BY_ELEMENT))
    )


def test_blocks_add_up_to_the_count(cortex_a76: Session, models: Path, sample: np.ndarray) -> None:
    profile = cortex_a76.profile(models / "float.tflite", sample, shared_cache_kib=SHARED_KIB)
    counts = cortex_a76.count(models / "float.tflite", sample)
    assert sum(block.executions * len(block.words) for block in profile.blocks) == counts.instructions
    assert count_multiplies(profile) == counts.by_class["fmla_fp32"] > 0


def test_it_repeats_to_the_instruction_and_to_the_line(cortex_a76: Session, models: Path, sample: np.ndarray) -> None:
    one, other = (cortex_a76.profile(models / "float.tflite", sample, shared_cache_kib=SHARED_KIB) for _ in range(2))
    assert one == other


def test_weights_beyond_a_cache_are_fetched_at_every_inference(
    cortex_a53: Session, models: Path, sample: np.ndarray
) -> None:
    """The dense layer's 256 KiB of weights do not fit into 32 KiB, and do into the second level's 1 MiB."""
    traffic = cortex_a53.profile(models / "float.tflite", sample, shared_cache_kib=0).traffic
    weights = tiny_models.DENSE_MACS * 4 // 64
    assert len(traffic) == 2
    assert CORES["cortex-a53"].l1d_kib * 1024 // 64 < weights
    assert weights <= traffic[0].misses < 3 * weights
    assert traffic[1].misses < weights / 10


def test_several_threads_share_the_work_and_the_caches(cortex_a76: Session, models: Path, sample: np.ndarray) -> None:
    """They multiply as much together as one alone, and fetch its weights, if not all at once."""
    one, four = (
        cortex_a76.profile(models / "float.tflite", sample, shared_cache_kib=SHARED_KIB, threads=threads)
        for threads in (1, 4)
    )
    multiplies, same = (count_multiplies(profile) for profile in (one, four))
    assert same == pytest.approx(multiplies, rel=0.05)
    assert one.blocks != four.blocks
    assert four.traffic[0].misses > tiny_models.DENSE_MACS * 4 // 64 * 0.9


def test_the_host_has_no_profile(host: Session, models: Path, sample: np.ndarray) -> None:
    with pytest.raises(ValueError, match="host is not emulated"):
        host.profile(models / "float.tflite", sample, shared_cache_kib=SHARED_KIB)
