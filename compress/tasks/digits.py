"""scikit-learn's bundled digits: 1,797 images of 8 x 8 pixels. A second, tiny task, ready in milliseconds."""

from __future__ import annotations

import numpy as np

from compress.tasks.task import Split, Task, split_task


def digits(*, calibration: int = 100, validation: int = 200, test: int = 400) -> Task:
    """Handwritten digits (Alpaydin & Kaynak 1998, UCI), as scikit-learn ships them.

    Args:
        calibration: images that calibrate quantisation.
        validation: images that select.
        test: images held out; the last ones of the file, which other people wrote.

    Raises:
        DataError: as Task.
    """
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images = (bunch.images[:, None] / 16).astype(np.float32)
    labels = bunch.target.astype(np.int64)
    cut = len(labels) - test
    return split_task(
        "digits",
        tuple(str(digit) for digit in range(10)),
        images[:cut],
        labels[:cut],
        Split(name="test", images=images[cut:], labels=labels[cut:]),
        calibration=calibration,
        validation=validation,
        source="scikit-learn's bundled digits",
    )
