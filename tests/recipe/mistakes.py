"""Mistakes in the tiny recipe: this text replaced by that one, and for each line of the error what stands at the place
that it names, and what it says. No line: it is no mistake."""

from __future__ import annotations

from tiny_recipe import TINY

from compress.types import METRICS

SCHEMES = "float32, float16, static_int8, mixed_int8, qat_int8, dynamic_int8, weight_only_int8, weight_only_int4, auto"

STUDENT_MODEL = '  model: {call: "plugged:model", args: {width: 1}}\n'
STUDENT_TRAINS = TINY[TINY.index("  train:\n") : TINY.index("quantize:")]
TEACHER_AND_STUDENT = TINY[TINY.index("teacher:") : TINY.index("quantize:")]

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
    ("learning_rate: 0.1", "learning_rate: 0.1, precision: float32", []),
    (
        "learning_rate: 0.1",
        "learning_rate: 0.1, precision: half",
        [("half", "teacher.train.precision: expected one of auto, float32, got half")],
    ),
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
        [
            (
                "bananas",
                "student: unknown key 'bananas'; known: compare_alone, distill, model, normalize, train, weights",
            )
        ],
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
            ("int8", f"quantize[1]: expected one of {SCHEMES}, got int8; did you mean 'qat_int8'?"),
            ("float_16", f"quantize[2]: expected one of {SCHEMES}, got float_16; did you mean 'float16'?"),
        ],
    ),
    ("[float32, static_int8]", "[float32, {scheme: static_int8, calibration: percentile}]", []),
    ("[onnx, tflite]", "[onnx, tflite]\nvariants: [ort, unsigned, float_io]", []),
    (
        "[float32, static_int8]\nformats: [onnx, tflite]\n",
        "[static_int8, {scheme: auto, accuracy_drop: 0.01}]\nformats: [onnx, tflite]\nvariants: [unsigned, float_io]\n",
        [],
    ),
    (
        "[onnx, tflite]",
        "[tflite]\nvariants: [ort]",
        [
            (
                "[ort]",
                "variants: ort is made from .onnx files, and formats does not list onnx; add it, or leave ort out",
            )
        ],
    ),
    (
        "[float32, static_int8]\nformats: [onnx, tflite]",
        "[float32, weight_only_int8]\nformats: [onnx, tflite]\nvariants: [unsigned]",
        [
            (
                "[unsigned]",
                "variants: unsigned is made from integer files, and quantize lists none of static_int8, qat_int8,"
                " mixed_int8, dynamic_int8, auto; add one, or leave unsigned out",
            )
        ],
    ),
    (
        "[onnx, tflite]",
        "[onnx, tflite]\nvariants: [ort, ort]",
        [("[ort, ort]", "variants: ort is listed twice; keep one")],
    ),
    (
        "[onnx, tflite]",
        "[onnx, tflite]\nvariants: [float_oi]",
        [
            (
                "float_oi",
                "variants[0]: expected one of ort, unsigned, float_io, got float_oi; did you mean 'float_io'?",
            )
        ],
    ),
    ("[onnx, tflite]", "[onnx, tflite]\nverify: {tflite_runtime: [host, cortex-a53]}", []),
    (
        "[onnx, tflite]",
        "[onnx, tflite]\nverify: {tflite_runtime: [hots]}",
        [("hots", "verify.tflite_runtime[0]: unknown target 'hots'; did you mean 'host'?")],
    ),
    (
        "[onnx, tflite]",
        "[onnx]\nverify: {tflite_runtime: [host]}",
        [
            (
                "{tflite_runtime",
                "verify: tflite_runtime runs .tflite files, and formats does not list tflite; add it, or leave it out",
            )
        ],
    ),
    (
        "[float32, static_int8]",
        "[static_int8, {scheme: float16, calibration: min_max}]",
        [
            (
                "{scheme:",
                "quantize[1]: float16 is not calibrated; leave calibration out, or use "
                "static_int8, mixed_int8 or qat_int8",
            )
        ],
    ),
    ("[float32, static_int8]", "[static_int8, {scheme: weight_only_int4, block_size: 64}, weight_only_int8]", []),
    (
        "[float32, static_int8]",
        "[static_int8, {scheme: weight_only_int4, block_size: 48}]",
        [("48", "quantize[1].block_size: expected one of 32, 64, 128 or 256, got 48")],
    ),
    (
        "[float32, static_int8]",
        "[static_int8, {scheme: dynamic_int8, block_size: 32}]",
        [("{scheme:", "quantize[1]: dynamic_int8 has no blocks; leave block_size out, or use weight_only_int4")],
    ),
    (
        "[float32, static_int8]",
        "[static_int8, {scheme: dynamic_int8, calibration: min_max}]",
        [
            (
                "{scheme:",
                "quantize[1]: dynamic_int8 is not calibrated; leave calibration out, or use "
                "static_int8, mixed_int8 or qat_int8",
            )
        ],
    ),
    (
        "[float32, static_int8]",
        "[static_int8, {scheme: qat_int8, train: {epochs: 1, batch_size: 8, learning_rate: 1e-3}}]",
        [],
    ),
    (
        "[float32, static_int8]",
        "[static_int8, qat_int8]",
        [
            (
                "qat_int8",
                "quantize[1]: qat_int8 trains the student on; add train, such as {epochs: 2, batch_size: 128,"
                " learning_rate: 0.001}",
            )
        ],
    ),
    (
        "[float32, static_int8]",
        "[{scheme: static_int8, train: {epochs: 1, batch_size: 8, learning_rate: 1e-3}}]",
        [("{scheme:", "quantize[0]: static_int8 does not train; leave train out, or use qat_int8 or auto")],
    ),
    (
        "[float32, static_int8]",
        "[static_int8, static_int8]",
        [("[static_int8,", "quantize: static_int8 is listed twice; keep one")],
    ),
    (
        "[float32, static_int8]",
        "[{scheme: static_int8, calibration: mse, clamp_dead_channels: true, equalise: true, rounding: learnt, "
        "bias_correction: calibrated}, {scheme: qat_int8, calibration: entropy, clamp_dead_channels: true, "
        "equalise: true, train: {epochs: 1, batch_size: 8, learning_rate: 1e-3}}]",
        [],
    ),
    (
        "[float32, static_int8]",
        "[{scheme: static_int8, rounding: adaround}]",
        [("adaround", "quantize[0].rounding: expected one of nearest, learnt, got adaround")],
    ),
    (
        "[float32, static_int8]",
        "[static_int8, {scheme: weight_only_int8, rounding: learnt}, {scheme: float32, equalise: true}]",
        [
            (
                "{scheme:",
                "quantize[1]: weight_only_int8 rounds to nearest; leave rounding out, or use static_int8 or mixed_int8",
            ),
            (
                "{scheme: float32",
                "quantize[2]: float32 is not repaired; leave equalise out, or use static_int8, mixed_int8 or qat_int8",
            ),
        ],
    ),
    (
        "[float32, static_int8]",
        "[static_int8, {scheme: qat_int8, bias_correction: analytic, train: {epochs: 1, batch_size: 8, "
        "learning_rate: 1e-3}}]",
        [
            (
                "{scheme:",
                "quantize[1]: qat_int8 trains its weights and biases; leave bias_correction out, or use static_int8 or "
                "mixed_int8",
            )
        ],
    ),
    ("[float32, static_int8]", "[static_int8, {scheme: mixed_int8, sqnr_db: 24, rounding: learnt}]", []),
    ("[float32, static_int8]", "[static_int8, {scheme: mixed_int8, exempt: [head]}]", []),
    (
        "[float32, static_int8]",
        "[mixed_int8, {scheme: static_int8, sqnr_db: 24}]",
        [
            (
                "mixed_int8",
                "quantize[0]: mixed_int8 needs a budget or names; add sqnr_db, such as 24, agreement, or exempt: "
                "[layers]",
            ),
            ("{scheme:", "quantize[1]: static_int8 treats all layers alike; leave sqnr_db out, or use mixed_int8"),
        ],
    ),
    (
        "[float32, static_int8]",
        "[static_int8, {scheme: mixed_int8, exempt: [head, head]}, {scheme: mixed_int8, sqnr_db: 24, exempt: [head]}]",
        [
            ("[head,", "quantize[1].exempt: head is listed twice; keep one"),
            (
                "{scheme: mixed_int8, sqnr_db",
                "quantize[2]: exempt names the layers that stay in float, and sqnr_db would choose them; leave one out",
            ),
        ],
    ),
    (
        "[float32, static_int8]",
        "[{scheme: mixed_int8, sqnr_db: 0}, {scheme: mixed_int8, agreement: 1.5}]",
        [
            ("0}", "quantize[0].sqnr_db: expected a number above 0, got 0"),
            ("1.5", "quantize[1].agreement: expected a number of at most 1, got 1.5"),
        ],
    ),
    ("[float32, static_int8]", "[static_int8, {scheme: auto, accuracy_drop: 0.01}]", []),
    (
        "[float32, static_int8]",
        "[static_int8, {scheme: auto, accuracy_drop: 0, train: {epochs: 1, batch_size: 8, learning_rate: 1e-3}}]",
        [],
    ),
    (
        "[float32, static_int8]",
        "[static_int8, auto]",
        [
            (
                "auto",
                "quantize[1]: auto has nothing to choose by: no budget limits accuracy or accuracy_drop of"
                " student-auto.onnx; add one, or accuracy_drop here, such as 0.01",
            )
        ],
    ),
    (
        "[float32, static_int8]",
        "[{scheme: static_int8, accuracy_drop: 0.01}, {scheme: auto, accuracy_drop: 0.01, rounding: learnt}]",
        [
            ("{scheme:", "quantize[0]: static_int8 chooses nothing; leave accuracy_drop out, or use auto"),
            (
                "{scheme: auto",
                "quantize[1]: auto decides that itself; leave rounding out, or use static_int8 or mixed_int8",
            ),
        ],
    ),
    (
        "[float32, static_int8]",
        "[static_int8, auto, auto]",
        [("[static_int8,", "quantize: auto is listed twice; keep one")],
    ),
    (
        "[float32, static_int8]",
        "[static_int8, {scheme: auto, accuracy_drop: 1}]",
        [("1}", "quantize[1].accuracy_drop: expected a number below 1, got 1")],
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
    (
        "temperature: 4, alpha: 0.9",
        "alpha: 0.9",
        [("{alpha", "student.distill: expected one of temperature and loss, got neither")],
    ),
    (
        "temperature: 4, alpha: 0.9",
        'alpha: 1, temperature: 4, loss: {call: "compress.distill:DKD"}',
        [("{alpha", "student.distill: expected one of temperature and loss, got both")],
    ),
    ("temperature: 4, alpha: 0.9", 'alpha: 1, loss: {call: "compress.distill:DKD", args: {beta: 2}}', []),
    (
        "temperature: 4, alpha: 0.9",
        'alpha: 1, loss: {call: "compress.distill:DKD", args: {beta: -2}}',
        [
            (
                "{call",
                "student.distill.loss: DKD: alpha is 1.0, beta is -2.0; expected finite numbers, at "
                "least 0 and not both 0; correct them",
            )
        ],
    ),
    (
        "temperature: 4, alpha: 0.9",
        'alpha: 1, loss: {call: "compress.distill:DKD", args: {betta: 2}}',
        [
            (
                "betta",
                "student.distill.loss.args: unknown argument 'betta' of compress.distill:DKD; did you mean 'beta'?",
            )
        ],
    ),
    (
        "temperature: 4, alpha: 0.9",
        'alpha: 1, loss: {call: "compress.distill:Hint", args: {weight: 1}}',
        [
            (
                "{call",
                "student.distill.loss: compress.distill:Hint: returned Hint, which has no needs_labels, "
                "min_classes, temperature; expected a loss on logits, such as compress.distill:DKD; name "
                "one, or write one like it",
            )
        ],
    ),
    (
        "temperature: 4, alpha: 0.9",
        'alpha: 1, loss: {call: "plugged:broken"}',
        [
            (
                "{call",
                "student.distill.loss: plugged:broken: raised ZeroDivisionError: division by zero; mend it or its args",
            )
        ],
    ),
    (
        "temperature: 4, alpha: 0.9",
        "temperature: 4, alpha: 0.9, features: [{student_layer: a, teacher_layer: b, loss: "
        '{call: "compress.distill:Hint", args: {weight: 1}}, project: true}]',
        [],
    ),
    (
        "temperature: 4, alpha: 0.9",
        "temperature: 4, alpha: 0.9, features: [{student_layer: a, teacher_layer: b, loss: "
        '{call: "compress.distill:Hint", args: {weight: 1}}, project: yes}]',
        [("yes", "student.distill.features[0].project: expected true or false, got yes; write true")],
    ),
    (
        "temperature: 4, alpha: 0.9",
        "temperature: 4, alpha: 0.9, features: [{student_layer: a, teacher_layr: b, loss: {call: "
        '"compress.distill:DIST"}}]',
        [
            ("{student_layer", "student.distill.features[0]: missing key 'teacher_layer'; add it"),
            ("teacher_layr", "student.distill.features[0]: unknown key 'teacher_layr'; did you mean 'teacher_layer'?"),
            (
                "{call",
                "student.distill.features[0].loss: compress.distill:DIST: returned DIST, which has no "
                "weight, needs_same_shape; expected a loss on features, such as compress.distill:Hint; "
                "name one, or write one like it",
            ),
        ],
    ),
    (
        "temperature: 4, alpha: 0.9",
        "temperature: 4, alpha: 0.9, combine: mean_logits",
        [
            (
                "mean_logits",
                "student.distill.combine: expected one of mean_probability, mean_logit, got mean_logits; "
                "did you mean 'mean_logit'?",
            )
        ],
    ),
    (
        "temperature: 4, alpha: 0.9",
        "temperature: 4, alpha: 0.9, generations: 0",
        [("0", "student.distill.generations: expected a number of at least 1, got 0")],
    ),
    (
        "temperature: 4, alpha: 0.9",
        "temperature: 4, alpha: 0.9, generations: 2, generation_teachers: all",
        [
            (
                "{temperature",
                "student.distill: generation_teachers: all does nothing below 3 generations; leave it "
                "out or raise generations",
            )
        ],
    ),
    (
        "temperature: 4, alpha: 0.9",
        "temperature: 4, alpha: 0.9, generations: 3, generation_teachers: all, live: true",
        [],
    ),
    (
        "temperature: 4, alpha: 0.9",
        'temperature: 4, alpha: 0.9, transfer_set: {call: "plugged:task", args: {images: 3}}',
        [],
    ),
    (
        "temperature: 4, alpha: 0.9",
        'temperature: 4, alpha: 0.9, transfer_set: {call: "plugged:task", args: {home: x}}',
        [("home", "student.distill.transfer_set.args: argument 'home' is supplied by the pipeline; remove it")],
    ),
    ("  train: {epochs: 1, batch_size: 8, learning_rate: 0.1}\n", "  weights: teacher.pt\n", []),
    (
        "  train: {epochs: 1, batch_size: 8, learning_rate: 0.1}\n",
        "  train: {epochs: 1, batch_size: 8, learning_rate: 0.1}\n  weights: teacher.pt\n",
        [("model", "teacher: expected one of train and weights, got both")],
    ),
    (
        "  train: {epochs: 1, batch_size: 8, learning_rate: 0.1}\n",
        "",
        [("model", "teacher: expected one of train and weights, got neither")],
    ),
    (
        "  train: {epochs: 1, batch_size: 8, learning_rate: 0.1}\n",
        "  train: {epochs: 1, batch_size: 8, learning_rate: 0.1}\n  normalize: {mean: [0.5], std: [0.5]}\n",
        [],
    ),
    (
        "  train: {epochs: 1, batch_size: 8, learning_rate: 0.1}\n",
        "  train: {epochs: 1, batch_size: 8, learning_rate: 0.1}\n  normalize: {mean: [0.5], std: [0.5, 0.5]}\n",
        [("{mean", "teacher.normalize: expected one value per channel in mean and in std, got 1 and 2")],
    ),
    (
        "  train: {epochs: 1, batch_size: 8, learning_rate: 0.1}\n",
        "  train: {epochs: 1, batch_size: 8, learning_rate: 0.1}\n  normalize: {mean: [], std: []}\n",
        [("{mean", "teacher.normalize: expected one value per channel in mean and in std, got 0 and 0")],
    ),
    (
        "  train: {epochs: 1, batch_size: 8, learning_rate: 0.1}\n",
        "  train: {epochs: 1, batch_size: 8, learning_rate: 0.1}\n  normalize: {mean: [0.5], std: [0]}\n",
        [("0", "teacher.normalize.std[0]: expected a number above 0, got 0")],
    ),
    ("student:", 'more_teachers: [{model: {call: "plugged:model", args: {width: 2}}, weights: b.pt}]\nstudent:', []),
    ("student:", 'more_teachers: [{probabilities: {call: "plugged:bare"}}]\nstudent:', []),
    (
        "student:",
        "more_teachers: [{}]\nstudent:",
        [("{}", "more_teachers[0]: expected one of model and probabilities, got neither")],
    ),
    (
        "student:",
        'more_teachers: [{model: {call: "plugged:model", args: {width: 2}}}]\nstudent:',
        [("{model", "more_teachers[0]: expected one of train and weights, got neither")],
    ),
    (
        "student:",
        'more_teachers: [{model: {call: "plugged:model", args: {width: 2}}, weights: b.pt, '
        'probabilities: {call: "plugged:bare"}}]\nstudent:',
        [("{model", "more_teachers[0]: expected one of model and probabilities, got both")],
    ),
    (
        "student:",
        'more_teachers: [{probabilities: {call: "plugged:bare"}, weights: b.pt}]\nstudent:',
        [
            (
                "{prob",
                "more_teachers[0]: probabilities are asked for as they are; leave train, weights and normalize out",
            )
        ],
    ),
    (
        "student:",
        'more_teachers: [{probabilities: {call: "plugged:baer"}}]\nstudent:',
        [
            (
                '"plugged:baer"',
                "more_teachers[0].probabilities.call: module 'plugged' has no 'baer'; did you mean 'bare'?",
            )
        ],
    ),
    (
        "    learning_rate: 1e-3\n  distill: {temperature: 4, alpha: 0.9}",
        "    label_smoothing: 0.1\n    learning_rate: 1e-3\n  distill: {temperature: 4, alpha: 1}",
        [("model", "student: label_smoothing does nothing with alpha: 1, which ignores the labels; leave one out")],
    ),
    (
        "    learning_rate: 1e-3\n  distill: {temperature: 4, alpha: 0.9}",
        "    label_smoothing: 0.1\n    learning_rate: 1e-3\n  distill: {temperature: 4, alpha: 1}\n "
        " compare_alone: true",
        [],
    ),
    (
        "    learning_rate: 1e-3\n  distill: {temperature: 4, alpha: 0.9}",
        "    ema_decay: 1\n    decay: step\n    learning_rate: 1e-3\n  distill: {temperature: 4, alpha: 0.9}",
        [
            ("1", "student.train.ema_decay: expected a number below 1, got 1"),
            ("step", "student.train.decay: expected one of linear, cosine, got step"),
        ],
    ),
    (
        "  distill: {temperature: 4, alpha: 0.9}",
        "  distill: {temperature: 4, alpha: 0.9, combine: mean_logit}",
        [("model", "student: combine has one teacher to combine; add more_teachers, or leave it out")],
    ),
    (
        "  distill: {temperature: 4, alpha: 0.9}",
        'more_teachers: [{probabilities: {call: "plugged:bare"}}]',
        [("model", "student: more_teachers teach nobody without distill; add it, or leave them out")],
    ),
    (STUDENT_TRAINS, "  weights: student.pt\n", []),
    (STUDENT_TRAINS, "  weights: student.pt\n  normalize: {mean: [0.5], std: [0.5]}\n", []),
    (TEACHER_AND_STUDENT, "student:\n" + STUDENT_MODEL + "  weights: student.pt\n", []),
    (STUDENT_TRAINS, "", [("model", "student: expected one of train and weights, got neither")]),
    ("  train:\n", "  weights: s.pt\n  train:\n", [("model", "student: expected one of train and weights, got both")]),
    (
        STUDENT_TRAINS,
        "  weights: student.pt\n  distill: {temperature: 4, alpha: 0.9}\n",
        [
            (
                "model",
                "student: distill says how a student is trained, and weights are read as they are; leave distill out,"
                " or write train in place of weights",
            )
        ],
    ),
    (
        STUDENT_TRAINS,
        "  weights: student.pt\n  distill: {temperature: 4, alpha: 0.9}\n  compare_alone: true\n",
        [
            (
                "model",
                "student: distill and compare_alone say how a student is trained, and weights are read as they are;"
                " leave distill and compare_alone out, or write train in place of weights",
            )
        ],
    ),
    (
        "  train:\n",
        "  normalize: {mean: [0.5], std: [0.5]}\n  train:\n",
        [("model", "student: normalize says what weights were trained on, and train sees [0, 1]; leave it out")],
    ),
    (
        STUDENT_TRAINS,
        '  weights: student.pt\nmore_teachers: [{probabilities: {call: "plugged:bare"}}]\n',
        [
            (
                "model",
                "student: more_teachers teach nobody, for the student's weights are read as they are; leave them out",
            )
        ],
    ),
    (
        TEACHER_AND_STUDENT,
        "student:\n" + STUDENT_MODEL + STUDENT_TRAINS,
        [
            (
                "model",
                "student: trains here, and there is no teacher to hold it against; add teacher, or write weights in"
                " place of train and distill",
            )
        ],
    ),
    (
        "budgets:",
        "benchmark: {devices: [{name: pi4, ssh: pi@raspberry, port: 2222, python: ~/venv/bin/python, "
        "threads: 4}]}\nbudgets:",
        [],
    ),
    (
        "budgets:",
        "benchmark: {devices: [{name: phone, adb: any, benchmark_model: tools/benchmark_model}]}\nbudgets:",
        [],
    ),
    ("budgets:", "benchmark: {devices: null}\nbudgets:", []),
    ("budgets:", "benchmark: {phones: {names: [Pixel 4, rpi-400], threads: 2}}\nbudgets:", []),
    (
        "budgets:",
        "benchmark: {phones: {names: [pixel 14, Pixel 6, Pixel 3a, Pixel 4, pixel-4xl], threads: 4}}\nbudgets:",
        [
            (
                "pixel 14",
                "benchmark.phones.names[0]: unknown device 'pixel 14'; near names: Pixel 4, Pixel 4a; "
                "`compress devices` lists all; a file of yours may describe it",
            ),
            (
                "Pixel 6",
                "benchmark.phones.names[1]: Pixel 6: 4 threads on 2 × cortex-x1, its fast cores; a prediction "
                "expects a core for each thread and all alike; set threads to 2 or less",
            ),
            (
                "Pixel 3a",
                "benchmark.phones.names[2]: Pixel 3a: 4 threads on 2 × cortex-a75, its fast cores; a prediction "
                "expects a core for each thread and all alike; set threads to 2 or less",
            ),
            ("pixel-4xl", "benchmark.phones.names[4]: pixel-4xl and Pixel 4 are both Pixel 4; keep one"),
        ],
    ),
    (
        "budgets:",
        "benchmark: {phones: {names: [pixel4]}, devices: [{name: pixel4, ssh: pi}]}\nbudgets:",
        [
            (
                "pixel4",
                "benchmark.phones.names[0]: pixel4 is a target already; spell the phone otherwise, or rename the other",
            )
        ],
    ),
    (
        "budgets:",
        "benchmark: {devices: [{name: pi4, ssh: -oProxyCommand=id}]}\nbudgets:",
        [
            (
                "-oProxy",
                "benchmark.devices[0].ssh: '-oProxyCommand=id' is no ssh destination, expected user@host, host "
                "or an alias of ~/.ssh/config, of letters, digits, dots and hyphens; correct it",
            )
        ],
    ),
    (
        "budgets:",
        "benchmark: {devices: [{name: pi4, ssh: pi@raspberry:22}]}\nbudgets:",
        [
            (
                "pi@",
                "benchmark.devices[0].ssh: 'pi@raspberry:22' holds a port, expected user@host; give the port by itself",
            )
        ],
    ),
    (
        "budgets:",
        "benchmark: {devices: [{name: pi4, ssh: pi@raspberry, port: 70000}]}\nbudgets:",
        [("70000", "benchmark.devices[0].port: expected a number of at most 65535, got 70000")],
    ),
    (
        "budgets:",
        "benchmark: {devices: [{name: pi4, ssh: pi@raspberry, pyhton: python3}]}\nbudgets:",
        [("pyhton", "benchmark.devices[0]: unknown key 'pyhton'; did you mean 'python'?")],
    ),
    (
        "budgets:",
        "benchmark: {devices: [{name: host, ssh: pi@raspberry}]}\nbudgets:",
        [("host", "benchmark.devices[0].name: host is a target already; choose another name for the device")],
    ),
    (
        "budgets:",
        "benchmark: {devices: [{name: cortex-a53, ssh: pi}]}\nbudgets:",
        [("cortex", "benchmark.devices[0].name: cortex-a53 is a target already; choose another name for the device")],
    ),
    (
        "budgets:",
        "benchmark: {devices: [{name: a, ssh: pi}, {name: a, ssh: pi5}]}\nbudgets:",
        [("[{name", "benchmark.devices: a is listed twice; keep one")],
    ),
    (
        "budgets:",
        "benchmark: {devices: []}\nbudgets:",
        [("[]", "benchmark.devices: expected at least one item, got an empty list")],
    ),
    (
        "budgets:",
        "benchmark: {devices: [{name: a}]}\nbudgets:",
        [("{name", "benchmark.devices[0]: expected one of ssh and adb, got neither")],
    ),
    (
        "budgets:",
        "benchmark: {devices: [{name: a, ssh: pi, adb: any}]}\nbudgets:",
        [("{name", "benchmark.devices[0]: expected one of ssh and adb, got both")],
    ),
    (
        "budgets:",
        "benchmark: {devices: [{name: a, ssh: pi, benchmark_model: b}]}\nbudgets:",
        [
            (
                "{name",
                "benchmark.devices[0]: benchmark_model is for a device over adb, and this one is reached over "
                "ssh; leave it out",
            )
        ],
    ),
    (
        "budgets:",
        "benchmark: {devices: [{name: a, adb: any, benchmark_model: b, images: 9}]}\nbudgets:",
        [
            (
                "{name",
                "benchmark.devices[0]: images is for a device over ssh, and this one is reached over adb; leave it out",
            )
        ],
    ),
    (
        "budgets:",
        "benchmark: {devices: [{name: a, adb: any}]}\nbudgets:",
        [
            (
                "{name",
                "benchmark.devices[0]: a phone over adb needs benchmark_model, the path of LiteRT's program of "
                "that name; add it",
            )
        ],
    ),
    (
        "budgets:",
        "benchmark: {devices: [{name: a, adb: -s, benchmark_model: b}]}\nbudgets:",
        [
            (
                "-s",
                "benchmark.devices[0].adb: '-s' is no serial number; expected one that `adb devices` lists, or "
                "any; correct it",
            )
        ],
    ),
]
