"""What can be learnt on, and what its identities depend on."""

import numpy as np
import pytest

from compress.distill import TransferSet
from compress.errors import DataError

INPUTS = np.random.default_rng(0).random((6, 1, 4, 4), dtype=np.float32)
LABELS = np.arange(6) % 3


@pytest.mark.parametrize(
    ("inputs", "labels", "message"),
    [
        (INPUTS[:0], None, r"samples of shape \(0, 1, 4, 4\)"),
        (np.array(1, np.float32), None, r"samples of shape \(\)"),
        (INPUTS[:, 0, 0, 0], None, r"samples of shape \(6,\)"),
        (INPUTS.astype(np.float64), None, "are float64; expected float32"),
        (INPUTS, LABELS.astype(np.int32), "float32 and int32; expected float32"),
        (INPUTS, LABELS[:5], r"6 samples with labels of shape \(5,\)"),
        (np.where(np.arange(6)[:, None] == 4, np.nan, INPUTS[:, 0, 0]), None, "sample 4 holds NaN"),
    ],
)
def test_what_cannot_be_learnt_on_is_refused(inputs, labels, message: str) -> None:
    with pytest.raises(DataError, match=message):
        TransferSet(inputs=inputs, labels=labels)


def test_identities() -> None:
    one, unlabelled = TransferSet(inputs=INPUTS, labels=LABELS), TransferSet(inputs=INPUTS, labels=None)
    rows = TransferSet(inputs=INPUTS.reshape(6, 16), labels=None)
    other = TransferSet(inputs=INPUTS, labels=(LABELS + 1) % 3)
    backwards = TransferSet(inputs=INPUTS[::-1], labels=None)
    # A teacher is asked about samples; a training also depends on the labels.
    assert one.sha256 == unlabelled.sha256 == other.sha256
    assert len({rows.sha256, backwards.sha256, one.sha256}) == 3
    assert len({one.identity, unlabelled.identity, other.identity}) == 3
    assert backwards.sha256 == TransferSet(inputs=np.ascontiguousarray(INPUTS[::-1]), labels=None).sha256
