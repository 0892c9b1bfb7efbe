"""Mistakes in the tiny recipe: this text replaced by that one, and for each line of the error what stands at the place
that it names, and what it says. No line: it is no mistake."""

from __future__ import annotations

from compress.types import METRICS

MISTAKES: list[tuple[str, str, list[tuple[str, str]]]] = [
    ("name: tiny", "name: 010", [("010", "name: expected text, got 010; to mean the text, quote it: '010'")]),
    ("name: tiny", "name: no", []),
    ("name: tiny", "name: true", [("true", "name: expected text, got true; to mean the text, quote it: 'true'")]),
    ("name: tiny", "name:", [("", "name: expected text, got nothing")]),
    (
        "name: tiny",
        "name: a/b",
        [
            (
                "a/b",
                "name: expected at most 64 letters, digits, dots, underscores and hyphens, a letter or digit first, "
                "got a/b",
            )
        ],
    ),
    ("name: tiny\n", "", [("task", "missing key 'name'; add it")]),
    (
        "name: tiny",
        "nmae: tiny",
        [("nmae", "missing key 'name'; add it"), ("nmae", "unknown key 'nmae'; did you mean 'name'?")],
    ),
    ("epochs: 1,", "epochs: 0,", [("0", "teacher.train.epochs: expected a number of at least 1, got 0")]),
    ("epochs: 1,", "epochs: 1.0,", [("1.0", "teacher.train.epochs: expected a whole number, got 1.0")]),
    (
        "epochs: 1,",
        "epochs: '1',",
        [("'1'", "teacher.train.epochs: expected a whole number, got '1'; remove the quotes")],
    ),
    ("epochs: 1,", "epochs: [1],", [("[1],", "teacher.train.epochs: expected a whole number, got a list")]),
    ("epochs: 1,", "epochs: 010,", []),
    (
        "learning_rate: 0.1",
        "learning_rate: 0",
        [("0", "teacher.train.learning_rate: expected a number above 0, got 0")],
    ),
    ("learning_rate: 0.1", "learning_rate: 1", []),
    (
        "learning_rate: 0.1",
        "learning_rate: .inf",
        [(".inf", "teacher.train.learning_rate: .inf is not a finite number; quote it if text is meant")],
    ),
    (
        "learning_rate: 0.1",
        "learning_rate: 0.1, momentum: 1",
        [("1", "teacher.train.momentum: expected a number below 1, got 1")],
    ),
    (
        "learning_rate: 0.1",
        "learning_rate: 0.1, augment: none",
        [("none", "teacher.train.augment: expected a mapping (key: value), got none")],
    ),
    ("learning_rate: 0.1", "learning_rate: 0.1, augment: null, views: 3", []),
    (
        "learning_rate: 0.1",
        "learning_rate: 0.1, augment: {flip: no}",
        [("no", "teacher.train.augment.flip: expected true or false, got no; write false")],
    ),
    (
        "learning_rate: 1e-3",
        "learning_rte: 1e-3",
        [
            ("epochs", "student.train: missing key 'learning_rate'; add it"),
            ("learning_rte", "student.train: unknown key 'learning_rte'; did you mean 'learning_rate'?"),
        ],
    ),
    (
        "temperature: 4",
        "temprature: 4",
        [
            ("{temprature:", "student.distill: missing key 'temperature'; add it"),
            ("temprature", "student.distill: unknown key 'temprature'; did you mean 'temperature'?"),
        ],
    ),
    (
        "  distill:",
        "  temprature: 4\n  distill:",
        [("temprature", "student: unknown key 'temprature'; did you mean 'temperature', under 'distill'?")],
    ),
    (
        "  distill:",
        "  bananas: 4\n  distill:",
        [("bananas", "student: unknown key 'bananas'; known: compare_alone, distill, model, train")],
    ),
    ("temperature: 4", "temperature: 0", [("0", "student.distill.temperature: expected a number above 0, got 0")]),
    ("alpha: 0.9", "alpha: 1.5", [("1.5", "student.distill.alpha: expected a number of at most 1, got 1.5")]),
    (
        "teacher:\n",
        "teacher: 5\nteecher:\n",
        [
            ("5", "teacher: expected a mapping (key: value), got 5"),
            ("teecher", "unknown key 'teecher'; did you mean 'teacher'?"),
        ],
    ),
    ("[float32, static_int8]", "[]", [("[]", "quantize: expected at least one item, got an empty list")]),
    ("[float32, static_int8]", "float32", [("float32", "quantize: expected a list, got float32")]),
    (
        "[float32, static_int8]",
        "[float32, int8, float_16]",
        [
            ("int8", "quantize[1]: expected one of float32, float16, static_int8, got int8"),
            (
                "float_16",
                "quantize[2]: expected one of float32, float16, static_int8, got float_16; did you mean 'float16'?",
            ),
        ],
    ),
    ("[float32, static_int8]", "[float32, {scheme: static_int8, calibration: percentile}]", []),
    (
        "[float32, static_int8]",
        "[static_int8, {scheme: float16, calibration: min_max}]",
        [("{scheme:", "quantize[1]: float16 is not calibrated; write float16 alone")],
    ),
    (
        "[float32, static_int8]",
        "[static_int8, static_int8]",
        [("[static_int8,", "quantize: static_int8 is listed twice; keep one")],
    ),
    ("[onnx, tflite]", "[onnx, onnx]", [("[onnx,", "formats: onnx is listed twice; keep one")]),
    (
        "[onnx, tflite]",
        "[onnx, onnnx]",
        [("onnnx", "formats[1]: expected one of onnx, tflite, got onnnx; did you mean 'onnx'?")],
    ),
    ("plugged:task", "plugged:tsk", [('"plugged', "task.call: module 'plugged' has no 'tsk'; did you mean 'task'?")]),
    (
        "plugged:task",
        "plugged.task",
        [('"plugged.task"', "task.call: expected package.module:name, got 'plugged.task'")],
    ),
    (
        "args: {width: 2}",
        "args: {wdth: 2}",
        [
            ("{wdth:", "teacher.model.args: missing argument 'width' of plugged:model (int); add it under args"),
            ("wdth", "teacher.model.args: unknown argument 'wdth' of plugged:model; did you mean 'width'?"),
        ],
    ),
    ("args: {width: 2}", "args: {width: 2.5}", [("2.5", "teacher.model.args.width: expected a whole number, got 2.5")]),
    (
        "args: {width: 2}",
        "agrs: {width: 2}",
        [
            ("{call:", "teacher.model: missing argument 'width' of plugged:model (int); add it under args"),
            ("agrs", "teacher.model: unknown key 'agrs'; did you mean 'args'?"),
        ],
    ),
    (
        "size_bytes",
        "size",
        [("size", "budgets[0].metric: unknown metric 'size'; known: " + ", ".join(sorted(METRICS)))],
    ),
    (
        "size_bytes",
        "sizebytes",
        [("sizebytes", "budgets[0].metric: unknown metric 'sizebytes'; did you mean 'size_bytes'?")],
    ),
    ("at_most: 0.05, ", "", [("{metric:", "budgets[0]: expected one of at_most and at_least, got neither")]),
    (
        "at_most: 0.05",
        "at_most: 1, at_least: 0",
        [("{metric:", "budgets[0]: expected one of at_most and at_least, got both")],
    ),
    (
        "at_most: 0.05",
        "at_most: 0.05, judge: intervall",
        [
            (
                "intervall",
                "budgets[0].judge: expected one of estimate, interval, got intervall; did you mean 'interval'?",
            )
        ],
    ),
    ("at_most: 0.05", "at_most: 0.05, target: host", []),
    ("at_most: 0.05", "at_most: 0.05, target: cortex-a76", []),
    (
        "at_most: 0.05",
        "at_most: 0.05, target: cortexa76",
        [("cortexa76", "budgets[0].target: unknown target 'cortexa76'; did you mean 'cortex-a76'?")],
    ),
    (
        "student-int8.*",
        "student-int4.*",
        [
            (
                '"student-int4.*"',
                "budgets[0].artifact: 'student-int4.*' matches no artifact of this recipe; it makes "
                "teacher-float32.onnx, teacher-float32.tflite, student-float32.onnx, student-float32.tflite, "
                "student-int8.onnx, student-int8.tflite, teacher.safetensors, student.safetensors",
            )
        ],
    ),
    (
        "teacher-float32.*",
        "teacher-float32.onnx",
        [
            (
                '"teacher-float32.onnx"',
                "budgets[0].relative_to: expected one reference of student-int8.tflite's format, "
                "'teacher-float32.onnx' matches none",
            )
        ],
    ),
    (
        "teacher-float32.*",
        "*-float32.*",
        [
            (
                '"*-float32.*"',
                "budgets[0].relative_to: expected one reference of student-int8.onnx's format, '*-float32.*' matches "
                "2: teacher-float32.onnx, student-float32.onnx",
            )
        ],
    ),
    (
        "formats:",
        "benchmark: {host: {rounds: 0}, arm64: {cores: [cortex-a54], imags: 3}}\nformats:",
        [
            ("0", "benchmark.host.rounds: expected a number of at least 1, got 0"),
            ("cortex-a54", "benchmark.arm64.cores[0]: unknown core 'cortex-a54'; did you mean 'cortex-a55'?"),
            ("imags", "benchmark.arm64: unknown key 'imags'; did you mean 'images'?"),
        ],
    ),
    (
        "formats:",
        "benchmark: {host: null, arm64: {cores: [cortex-a53, cortex-a72]}}\nverify: {images: 1}\nformats:",
        [],
    ),
]
