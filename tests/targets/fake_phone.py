"""A phone for tests: an executable `adb` that answers as a phone with LiteRT's `benchmark_model` would.

No phone was at hand. The program's output is put together from its documentation (LiteRT's page "Performance
measurement": the line `Inference timings in us`, flags and defaults) and from the format of its source
(`Stat::OutputToStream` and `BenchmarkLoggingListener`: the lines around it); the durations are the documentation's.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

DOCUMENTED = """\
INFO: STARTING!
INFO: Log parameter values verbosely: [0]
INFO: Min num runs: [30]
INFO: Min runs duration (seconds): [0]
INFO: Num threads: [1]
INFO: Min warmup runs: [5]
INFO: Min warmup runs duration (seconds): [0]
INFO: Graph: [model.tflite]
INFO: Use xnnpack: [1]
INFO: Loaded model model.tflite
INFO: Created TensorFlow Lite XNNPACK delegate for CPU.
INFO: Explicitly applied XNNPACK delegate, and the model graph will be completely executed by the delegate.
INFO: The input model file size (MB): 4.27635
INFO: Initialized session in 5.685ms.
INFO: Running benchmark for at least 5 iterations and at least 0 seconds but terminate if exceeding 120 seconds.
INFO: count=5 first=18535 curr=13391 min=13391 max=18535 avg=14462.3 std=2040

INFO: Running benchmark for at least 30 iterations and at least 0 seconds but terminate if exceeding 120 seconds.
INFO: count=30 first=14211 curr=14718 min=13985 max=16120 avg=14575.2 std=433

INFO: Inference timings in us: Init: 5685, First inference: 18535, Warmup (avg): 14462.3, Inference (avg): 14575.2
INFO: Note: as the benchmark tool itself affects memory footprint, the following is only APPROXIMATE to the actual \
memory footprint of the model at runtime. Take the information at your discretion.
INFO: Memory footprint delta from the start of the tool (MB): init=3.21094 overall=8.62891
"""

SHELL: list[tuple[str, int, str]] = [
    # the script holds this: status, output
    ("mktemp", 0, "/data/local/tmp/compress-aB3dE6\n"),
    ("ro.product.model", 0, "Pixel 4\n"),
    ("ro.build.version.release", 0, "13\n"),
    ("uname", 0, "Linux 4.14.276-g8ae7b4ca8564 aarch64\n"),
    ("scaling_governor", 0, "schedutil\n" * 8),
    ("cpuinfo_max_freq", 0, "1785600\n" * 4 + "2419200\n" * 3 + "2841600\n"),
    ("cpuinfo", 0, "".join(f"processor\t: {k}\nCPU part\t: {'0xd05' if k < 4 else '0xd0b'}\n\n" for k in range(8))),
    ("--graph", 0, DOCUMENTED),
    ("", 0, ""),
]

ADB = f"""\
#!{sys.executable} -SE
import json, pathlib, sys, time

here, arguments = pathlib.Path(__file__).parent, sys.argv[1:]
phone = json.loads((here / "phone.json").read_text())
with (here / "calls.jsonl").open("a") as log:
    print(json.dumps(arguments), file=log)
if arguments == ["devices"]:
    print("* daemon not running; starting now at tcp:5037\\n* daemon started successfully")
    print("List of devices attached")
    listed = phone["devices"]
    if phone["lost"] and any("--graph" in line for line in (here / "calls.jsonl").read_text().splitlines()):
        listed = []
    for line in listed:
        print(line)
    print()
elif arguments[2] == "push":
    print(phone["push"][1])
    (here / "pushed_bytes").write_text(str(pathlib.Path(arguments[3]).stat().st_size))
    sys.exit(phone["push"][0])
else:
    status, text = next((status, text) for part, status, text in phone["shell"] if part in arguments[3])
    if "--graph" in arguments[3] and (here / "pushed_bytes").read_text() == str(phone["refused"]):
        status, text = 1, "ERROR: Op builtin_code out of range: 203\\nBenchmarking failed.\\n"
    if "--graph" in arguments[3] and phone["hangs"]:
        time.sleep(30)
    print(text, end="")
    sys.exit(status)
"""


class FakePhone:
    """Its folder, for $PATH; further words change what it answers: devices, push, lost, and shell (before SHELL).

    refused: size of the model that the program cannot run.
    hangs: the program does not end.
    """

    def __init__(self, folder: Path, **changes: Any) -> None:
        self.folder = folder
        folder.mkdir()
        self.tool = folder / "benchmark_model"
        self.tool.write_bytes(b"\x7fELF and more")
        shell = [*changes.pop("shell", []), *SHELL]
        usual = {"devices": ["9A1X\tdevice"], "push": [0, "1 file pushed"], "lost": False, "refused": 0, "hangs": False}
        (folder / "phone.json").write_text(json.dumps({**usual, **changes, "shell": shell}))
        (folder / "adb").write_text(ADB)
        (folder / "adb").chmod(0o755)

    def calls(self) -> list[list[str]]:
        """The arguments of every call of `adb`."""
        log = self.folder / "calls.jsonl"
        return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
