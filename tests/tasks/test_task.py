"""Splits are checked once, and every way in which data can be wrong has its own sentence."""

import dataclasses

import numpy as np
import pytest

from compress.errors import DataError
from compress.tasks import Split, Task
from compress.tasks.digits import digits


@pytest.fixture(scope="module")
def task() -> Task:
    return digits()


def test_digits_are_split_without_loss_or_overlap(task: Task) -> None:
    from sklearn.datasets import load_digits

    assert [len(split) for split in task.splits()] == [1097, 100, 200, 400]
    published = sorted((image / 16).astype(np.float32).tobytes() for image in load_digits().images)
    assert sorted(image.tobytes() for split in task.splits() for image in split.images) == published


def test_the_split_never_changes(task: Task) -> None:
    assert task.train.sha256 == digits().train.sha256


def altered(split: Split, **changes) -> Split:
    return dataclasses.replace(split, **changes)


def with_nan(split: Split) -> Split:
    images = split.images.copy()
    images[3, 0, 2, 2] = np.nan
    return altered(split, images=images)


def with_label(split: Split, label: int) -> Split:
    labels = split.labels.copy()
    labels[5] = label
    return altered(split, labels=labels)


@pytest.mark.parametrize(
    ("field", "change", "message"),
    [
        ("calibration", lambda s, _: altered(s, images=s.images[:0], labels=s.labels[:0]), "calibration: no images"),
        ("train", lambda s, _: with_nan(s), "train: image 3 holds NaN or infinity"),
        ("test", lambda s, _: with_label(s, 10), r"test: label 10 at index 5 .*expected 0 to 9"),
        ("test", lambda s, _: with_label(s, -1), r"label -1 at index 5"),
        (
            "validation",
            lambda s, _: altered(s, images=s.images * 255),
            r"values reach from 0 to 255; expected \[0, 1\]",
        ),
        ("validation", lambda s, _: altered(s, images=s.images[:, :, :4]), r"expected \(n, 1, 8, 8\)"),
        ("validation", lambda s, _: altered(s, labels=s.labels[:-1]), "one label per image"),
        ("train", lambda s, _: altered(s, images=s.images.astype(np.float64)), "expected float32 and int64"),
        (
            "calibration",
            lambda s, t: altered(
                s, images=np.concatenate([s.images, t.test.images[:2]]), labels=np.concatenate([s.labels, [0, 0]])
            ),
            "2 of 102 images of split calibration are in the test split too",
        ),
    ],
)
def test_wrong_data_is_refused_with_the_reason(task: Task, field: str, change, message: str) -> None:
    with pytest.raises(DataError, match=message):
        dataclasses.replace(task, **{field: change(getattr(task, field), task)})
