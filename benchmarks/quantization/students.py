"""What int8 costs mobile students that were trained here: rounded after training, and trained on through the rounding.

Three networks, the quickstart's mobile CNN, a MobileNetV2 and a MobileNetV3 cut to images of 28 pixels, learn 20,000
images of Fashion-MNIST; for each seed static_int8 and qat_int8 are written in both formats and run on all 10,000 test
images by ONNX Runtime and LiteRT. qat_int8 trains for two epochs on the same images, with the float student as its
teacher; no test image and no test figure chooses anything.

The claims: averaged over the seeds, static_int8 loses at most 0.3 points against the float student on the same images,
qat_int8 at most 0.1; with every seed the int8 .onnx and .tflite choose the same class on at least 99.7 % of the images.
A loss is paired: each image against itself in float32. Its interval is that of 10,000 images, each with its mean over
the seeds: three students' answers to an image are not three images.

Takes about half an hour on 2 cores; --quick about half a minute.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from compress.distill import Distillation, ModuleTeacher, Schedule, SoftTargets, TransferSet, choose_device, train
from compress.export import export
from compress.home import default_home
from compress.measure.estimates import Z
from compress.models.mobile import mobile_cnn
from compress.models.mobilenet_v2 import mobilenet_v2
from compress.models.mobilenet_v3 import mobilenet_v3
from compress.quantize import QATInt8, QuantizedGraph, StaticInt8, finish, prepare, quantize
from compress.targets import Session, decode, encode, open_session
from compress.tasks import Task

sys.path.append(str(Path(__file__).parents[1]))
from images import FLIP, build, load_task, logits, mobile, shorten
from keeping import LIBRARIES, keep

STUDENTS: dict[str, Callable[[], nn.Module]] = {
    "mobile CNN": mobile,
    "MobileNetV2": lambda: mobilenet_v2(in_channels=1, classes=10, width=0.35, reduction=16, head=256),
    "MobileNetV3": lambda: mobilenet_v3(in_channels=1, classes=10, size="small", width=0.5, reduction=16, head=256),
}
TINY = {"tiny CNN": lambda: mobile_cnn(in_channels=1, classes=10, widths=(8, 16), strides=(2, 2))}
FLOAT = Schedule(epochs=8, batch_size=128, learning_rate=0.1, augment=FLIP, weight_decay=1e-4)
TUNE = Schedule(epochs=2, batch_size=128, learning_rate=1e-3, augment=FLIP, weight_decay=1e-4, precision="float32")
ALLOWED = {"static_int8": 0.003, "qat_int8": 0.001}
SAME_CLASS = 0.997
RESULTS = Path(__file__).parents[1] / "results" / "quantization" / "students.json"
Format = Literal["onnx", "tflite"]
FORMATS: tuple[Format, Format] = ("onnx", "tflite")
CODE = ("compress.distill", "compress.quantize", "compress.export", "compress.tasks")


def main() -> int:
    """Train, quantise, run, print, write; 0 if the claims hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="seconds instead of hours; the figures mean nothing")
    parser.add_argument("--seeds", type=int, default=3, help="how many (default 3)")
    parser.add_argument("--output", type=Path, help=f"JSON to write (default: results/{RESULTS.name}, none if quick)")
    given = parser.parse_args()
    output: Path = given.output or (Path(os.devnull) if given.quick else RESULTS)
    task = load_task(given.quick)
    found: dict[str, list[dict[str, Any]]] = {}
    for name, make in (TINY if given.quick else STUDENTS).items():
        rows = found[name] = []
        for seed in range(1 if given.quick else given.seeds):
            settings = {"student": name, "seed": seed, "quick": given.quick, "device": repr(choose_device())}
            rows.append(keep("students", settings, partial(measure, task, make, seed, given.quick), code=CODE))
            print(f"  {name}, seed {seed}: float32 {100 * rows[-1]['float32']:.2f} %", flush=True)
    summary = {name: summarise(rows) for name, rows in found.items()}
    print_table(summary)
    if output != Path(os.devnull):
        output.parent.mkdir(parents=True, exist_ok=True)
    machine = {library: version(library) for library in LIBRARIES}
    output.write_text(json.dumps({"benchmark": "students", "summary": summary, "machine": machine}, indent=1) + "\n")
    return judge(summary, given.quick)


def measure(task: Task, make: Callable[[], nn.Module], seed: int, quick: bool, work: Path) -> dict[str, Any]:
    """One row: which test images only float, and which only an int8 file, gets right."""
    student = learn(task, make, seed, work, quick)
    labels = task.test.labels
    float_right = logits(student, task.test).argmax(1).numpy() == labels
    files: dict[str, dict[str, Any]] = {}
    same = {}
    with open_session("host", default_home()) as session, tempfile.TemporaryDirectory() as folder:
        for graph in (after_training(task, student), tuned(task, student, seed, work, quick)):
            classes = []
            for fmt in FORMATS:
                file = Path(folder) / f"{graph.precision}.{fmt}"
                export(graph.module, graph.precision, fmt, file, torch.from_numpy(task.test.images[:1]))
                classes.append(run(session, file, task))
                files[file.name] = discord(float_right, classes[-1] == labels) | {"size_bytes": file.stat().st_size}
            same[str(graph.precision)] = float((classes[0] == classes[1]).mean())
    accuracy = float(float_right.mean())
    return {"seed": seed, "images": len(labels), "float32": accuracy, "files": files, "same_class": same}


def learn(task: Task, make: Callable[[], nn.Module], seed: int, work: Path, quick: bool) -> nn.Module:
    """A student on labels: trained now, or restored."""
    student = build(make, seed)
    transfer, schedule = TransferSet.of_split(task.train), shorten(FLOAT, quick)
    train(student, transfer, task.validation, schedule, seed=seed, checkpoint=work / "float32.pt")
    return student.eval()


def after_training(task: Task, student: nn.Module) -> QuantizedGraph:
    """Rounded once."""
    images = torch.from_numpy(task.calibration.images)
    return quantize(student, images[:1], StaticInt8(), images)


def tuned(task: Task, student: nn.Module, seed: int, work: Path, quick: bool) -> QuantizedGraph:
    """Trained on through the rounding, taught by the float student."""
    images = torch.from_numpy(task.calibration.images)
    graph = prepare(student, images[:1], QATInt8(), images)
    teacher = ModuleTeacher(model=student)
    lesson = Distillation(teachers=(teacher,), loss=SoftTargets(temperature=4.0), alpha=0.9)
    transfer = TransferSet.of_split(task.train)
    checkpoint, schedule = work / "qat_int8.pt", shorten(TUNE, quick)
    train(graph, transfer, task.validation, schedule, seed=seed, checkpoint=checkpoint, distillation=lesson)
    return finish(graph, QATInt8())


def run(session: Session, file: Path, task: Task) -> NDArray[np.int64]:
    """The classes (n,) that a file gives the test images."""
    info = session.describe(file)
    outputs = session.run(file, encode(info.inputs[0], task.test.images))
    classes: NDArray[np.int64] = decode(info.outputs[0], outputs).argmax(1)
    return classes


def discord(reference: NDArray[np.bool_], candidate: NDArray[np.bool_]) -> dict[str, list[int]]:
    """The images that only the reference, and those that only the candidate gets right."""
    return {
        "lost": np.flatnonzero(reference & ~candidate).tolist(),
        "gained": np.flatnonzero(candidate & ~reference).tolist(),
    }


def summarise(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Over the seeds: accuracy in float, loss with its interval of each file, least agreement of the formats."""
    files = {}
    for file in rows[0]["files"]:
        losses = np.zeros((len(rows), rows[0]["images"]))
        for loss, row in zip(losses, rows, strict=True):
            loss[row["files"][file]["lost"]] = 1
            loss[row["files"][file]["gained"]] = -1
        by_image = losses.mean(0)
        half = Z * float(by_image.std(ddof=1)) / math.sqrt(len(by_image))
        drop = float(by_image.mean())
        files[file] = {
            "drop": drop,
            "interval": (drop - half, drop + half),
            "by_seed": losses.mean(1).tolist(),
            "size_bytes": rows[0]["files"][file]["size_bytes"],
        }
    same = {scheme: min(row["same_class"][scheme] for row in rows) for scheme in ALLOWED}
    return {
        "float32": [row["float32"] for row in rows],
        "images": rows[0]["images"],
        "files": files,
        "same_class": same,
    }


def print_table(summary: dict[str, Any]) -> None:
    """One line a file."""
    print(f"\n{'student':14}{'float32, %':>12}  {'file':20}{'loss, points':>14}{'95 % interval':>20}{'bytes':>10}")
    for name, found in summary.items():
        accuracy = f"{100 * statistics.mean(found['float32']):.2f}"
        for file, row in found["files"].items():
            low, high = (100 * end for end in row["interval"])
            ends = f"{low:.2f} to {high:.2f}"
            print(f"{name:14}{accuracy:>12}  {file:20}{100 * row['drop']:14.2f}{ends:>20}{row['size_bytes']:>10}")
        shares = ", ".join(f"{scheme} {100 * share:.2f} %" for scheme, share in found["same_class"].items())
        print(f"{'':26}  the formats choose the same class (worst seed): {shares}")


def judge(summary: dict[str, Any], quick: bool) -> int:
    """1 if a claim falls short and the figures mean something."""
    short = [
        f"{name}: {file} loses {100 * row['drop']:.2f} points; asked at most {100 * ALLOWED[Path(file).stem]:.1f}"
        for name, found in summary.items()
        for file, row in found["files"].items()
        if row["drop"] > ALLOWED[Path(file).stem]
    ]
    short += [
        f"{name}: {scheme}'s formats agree on {100 * share:.2f} %; asked {100 * SAME_CLASS:.1f} %"
        for name, found in summary.items()
        for scheme, share in found["same_class"].items()
        if share < SAME_CLASS
    ]
    for line in short:
        print(f"falls short: {line}")
    return int(bool(short) and not quick)


if __name__ == "__main__":
    sys.exit(main())
