"""Opens, runs, times and counts model files on one runtime; runs natively and under emulation, unchanged.

Stand-alone: the standard library, NumPy and the runtime, nothing of this package, so that it can be copied to where
the model is meant to run.

- A fork server. The runtime is imported once; each job is done by a child, which a malformed model may crash.
- The first line on stdin is `{"runtime": "litert"}`; every further line is a job, answered by one line on stdout.
- Files are named relative to the working folder. Jobs:

      {"job": "describe", "model": F}                         -> {"inputs": [...], "outputs": [...]}
      {"job": "run", ..., "inputs": F, "outputs": F}          -> {}
      {"job": "time", ..., "inputs": F, "warmup": n, "n": n}  -> {"durations_ns": [...], "cpu_ns": n}
      {"job": "count", ..., "inputs": F, "warmup": n, "repeats": n}  -> {}; counts go to the emulator's report

  Each may have `threads`, and `limit_s`: whole seconds after which the job dies of SIGALRM, so that it ends even where
  nobody is left to end it. What a job raised comes back as {"error": text}, how its process died as {"signal": name}
  or {"exit": status}.
- The parent allocates nothing that outlives a job, so every child starts from the same heap. Instruction counts then
  do not depend on the order of the jobs.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np

MARK_SYSCALL = 0x4D4B
MARK_START = 1
MARK_STOP = 2
JOB_BYTES = 4096  # a write of up to PIPE_BUF bytes arrives in one piece

Json = Any

litert: Any  # import_runtime sets the one that it imports
onnxruntime: Any


class LiteRtModel:
    """A .tflite file, opened by LiteRT with its default (XNNPACK) kernels."""

    def __init__(self, path: str, threads: int) -> None:
        self._interpreter = litert.Interpreter(model_path=path, num_threads=threads)
        self._interpreter.allocate_tensors()
        self.inputs = [_litert_spec(d) for d in self._interpreter.get_input_details()]
        self.outputs = [_litert_spec(d) for d in self._interpreter.get_output_details()]
        self._input = self._interpreter.get_input_details()[0]["index"]
        self._output = self._interpreter.get_output_details()[0]["index"]

    def feed(self, batch: np.ndarray) -> None:
        self._interpreter.set_tensor(self._input, batch)

    def invoke(self) -> None:
        self._interpreter.invoke()

    def output(self) -> np.ndarray:
        output: np.ndarray = self._interpreter.get_tensor(self._output)
        return output


class OnnxModel:
    """A .onnx file, opened by ONNX Runtime on its CPU provider."""

    def __init__(self, path: str, threads: int) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        # On x86, ONNX Runtime would turn int8 activations into uint8, whose products with int8 weights saturate in 16
        # bits on processors without VNNI. Allowed int8, it computes as the file says: what it does on ARM64 anyway.
        options.add_session_config_entry("session.qdqisint8allowed", "1")
        self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self.inputs = [_onnx_spec(node) for node in self._session.get_inputs()]
        self.outputs = [_onnx_spec(node) for node in self._session.get_outputs()]
        self._binding = self._session.io_binding()

    def feed(self, batch: np.ndarray) -> None:
        self._binding.bind_cpu_input(self.inputs[0]["name"], batch)
        self._binding.bind_output(self.outputs[0]["name"])

    def invoke(self) -> None:
        self._session.run_with_iobinding(self._binding)

    def output(self) -> np.ndarray:
        output: np.ndarray = self._binding.copy_outputs_to_cpu()[0]
        return output


Model = LiteRtModel | OnnxModel


def _litert_spec(detail: dict[str, Any]) -> Json:
    scales = detail["quantization_parameters"]["scales"]
    quantised = len(scales) == 1
    return {
        "name": detail["name"],
        "shape": [None if size == -1 else int(size) for size in detail["shape_signature"]],
        "dtype": np.dtype(detail["dtype"]).name,
        "scale": float(scales[0]) if quantised else None,
        "zero_point": int(detail["quantization_parameters"]["zero_points"][0]) if quantised else None,
    }


def _onnx_spec(node: Any) -> Json:
    names = {"tensor(float)": "float32", "tensor(double)": "float64"}
    dtype = names.get(node.type, node.type.removeprefix("tensor(").removesuffix(")"))
    shape = [size if isinstance(size, int) else None for size in node.shape]
    return {"name": node.name, "shape": shape, "dtype": dtype, "scale": None, "zero_point": None}


def describe(model: Model, _job: Json) -> Json:
    return {"inputs": model.inputs, "outputs": model.outputs}


def run(model: Model, job: Json) -> Json:
    """Feed the rows one by one, as a phone does; write the raw outputs, one row each."""
    rows = load_rows(model, job)
    outputs = []
    for k in range(len(rows)):
        model.feed(rows[k : k + 1])
        model.invoke()
        outputs.append(model.output())
    np.save(job["outputs"], np.concatenate(outputs))
    return {}


def time_inferences(model: Model, job: Json) -> Json:
    """Time `n` single inferences after `warmup` ones; `cpu_ns` is the user and system time of those n together."""
    model.feed(load_rows(model, job)[:1])
    for _ in range(job["warmup"]):
        model.invoke()
    durations = []
    cpu = time.process_time_ns()
    for _ in range(job["n"]):
        start = time.perf_counter_ns()
        model.invoke()
        durations.append(time.perf_counter_ns() - start)
    return {"durations_ns": durations, "cpu_ns": time.process_time_ns() - cpu}


def count(model: Model, job: Json) -> Json:
    """Bracket `repeats` inferences by the emulator's marks, each by itself."""
    model.feed(load_rows(model, job)[:1])
    syscall = ctypes.CDLL(None).syscall
    for _ in range(job["warmup"]):
        model.invoke()
    for _ in range(job["repeats"]):
        syscall(MARK_SYSCALL, MARK_START)
        model.invoke()
        syscall(MARK_SYSCALL, MARK_STOP)
    return {}


def load_rows(model: Model, job: Json) -> np.ndarray:
    """Load the rows that the model is fed, (n, ...), and check that they fit it.

    Raises:
        ValueError: several inputs or outputs, a fixed batch size, or rows of another shape or type.
    """
    rows: np.ndarray = np.load(job["inputs"])
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise ValueError(f"it has {len(model.inputs)} inputs and {len(model.outputs)} outputs, expected one of each")
    dtype, shape = model.inputs[0]["dtype"], model.inputs[0]["shape"]
    if shape[:1] not in ([None], [1]):
        raise ValueError(f"its input has the shape {shape}, expected a first dimension of 1 or a dynamic one")
    fits = rows.ndim == len(shape) and all(
        want in (None, have) for want, have in zip(shape[1:], rows.shape[1:], strict=True)
    )
    if not fits or rows.dtype.name != dtype:
        raise ValueError(f"its input is {dtype} of shape {shape}, but it was fed {rows.dtype.name} {list(rows.shape)}")
    return rows


JOBS: dict[str, Callable[[Model, Json], Json]] = {
    "describe": describe,
    "run": run,
    "time": time_inferences,
    "count": count,
}


def import_runtime(name: str) -> tuple[type[Model], str]:
    """Import one runtime; return how it opens a model, and its name and version, e.g. `litert 2.3.0`."""
    global litert, onnxruntime
    if name == "onnxruntime":
        import onnxruntime

        return OnnxModel, f"onnxruntime {onnxruntime.__version__}"
    try:
        import ai_edge_litert
        from ai_edge_litert import interpreter as litert
    except ModuleNotFoundError:
        import tflite_runtime  # type: ignore[import-not-found]
        from tflite_runtime import interpreter as litert

        return LiteRtModel, f"tflite-runtime {tflite_runtime.__version__}"
    return LiteRtModel, f"litert {ai_edge_litert.__version__}"


def answer(descriptor: int, content: Json) -> None:
    data = json.dumps(content).encode() + b"\n"
    while data:
        data = data[os.write(descriptor, data) :]


def work(answers: int, model_type: type[Model], line: bytes) -> NoReturn:
    """Do one job in the child: answer, and leave without the runtime's clean-up, which could crash a finished job."""

    def report_error(kind: type[BaseException], error: BaseException, _trace: object) -> None:
        answer(answers, {"error": f"{kind.__name__}: {error}"})
        os._exit(0)

    sys.excepthook = report_error
    job = json.loads(line)
    signal.alarm(job.get("limit_s", 0))
    model = model_type(job["model"], job.get("threads", 1))
    answer(answers, JOBS[job["job"]](model, job))
    os._exit(0)


def describe_death(status: int) -> Json:
    if os.WIFSIGNALED(status):
        return {"signal": signal.Signals(os.WTERMSIG(status)).name}
    return {"exit": os.WEXITSTATUS(status)}


def serve() -> None:
    answers = os.dup(1)
    os.dup2(2, 1)  # what the runtimes print must not mix with the answers
    buffer = bytearray(JOB_BYTES)
    size = os.readv(0, [buffer])
    if not size:
        return
    model_type, runtime = import_runtime(json.loads(buffer[:size])["runtime"])
    answer(answers, {"runtime": runtime})
    gc.collect()
    gc.disable()
    while size := os.readv(0, [buffer]):
        child = os.fork()
        if child == 0:
            work(answers, model_type, bytes(buffer[:size]))
        status = os.waitpid(child, 0)[1]
        if status:
            answer(answers, describe_death(status))


if __name__ == "__main__":
    serve()
