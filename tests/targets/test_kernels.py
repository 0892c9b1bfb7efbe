"""Functions of a library by their instructions, against a library that is assembled here."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from compress.targets.arm64.kernels import Kernels, read_kernels
from compress.targets.latency.layers import tell_layer

ONE, OTHER, LOOP, NOWHERE = (0x4F801020, 0x8B050083), (0x4F80E020, 0x8B050083), (0x3DC00020, 0xD503201F), (1, 2)
FUNCTIONS = {"xnn_one": (*ONE, *LOOP), "xnn_other": (*LOOP, *OTHER)}


def assemble(folder: Path, *options: str) -> Kernels:
    """A library of FUNCTIONS, whose words the linker takes for those of this machine."""
    source, library = folder / "kernels.s", folder / "kernels.so"
    lines = [".text"]
    for name, words in FUNCTIONS.items():
        lines += [".balign 16", f".type {name}, %function", f"{name}:", *(f".long {word}" for word in words)]
    source.write_text("\n".join([*lines, ""]))
    subprocess.run(["cc", "-shared", "-nostdlib", *options, "-o", library, source], check=True)
    return read_kernels(library.read_bytes())


@pytest.mark.parametrize(
    ("words", "names"),
    [(ONE, {"xnn_one"}), (OTHER[:1], {"xnn_other"}), (LOOP, {"xnn_one", "xnn_other"}), (NOWHERE, set())],
)
def test_a_block_is_of_every_function_that_has_it(words: Sequence[int], names: set[str], tmp_path: Path) -> None:
    assert assemble(tmp_path).find(words) == names


def test_a_stripped_library_names_nothing(tmp_path: Path) -> None:
    assert assemble(tmp_path, "-s").find(ONE) == frozenset()


@pytest.mark.parametrize(
    ("kernel", "layer"),
    [
        ("xnn_f32_gemm_minmax_ukernel_6x8__asm_aarch64_neonfma_cortex_a75", "products"),
        ("xnn_qs8_qc8w_igemm_minmax_fp32_ukernel_4x16c4__asm_aarch64_neondot_cortex_a55", "products"),
        ("xnn_x32_packw_gemm_goi_ukernel_x8__neon_ld4lane_u4", "other"),
        ("xnn_f32_dwconv_minmax_ukernel_9p8c__neonfma", "depthwise"),
        ("xnn_compute_dwconv_indirect", "depthwise"),
        ("xnn_qs8_vadd_minmax_ukernel__neon_ld64_u16", "elementwise"),
        ("xnn_f32_maxpool_minmax_ukernel_9p__neon_u4", "pooling"),
        ("xnn_qs8_rdsum_ukernel_7p7x__neon_u32", "pooling"),
        ("xnn_f32_raddstoreexpminusmax_ukernel__neonfma_rr1_lut64_p2_u16", "softmax"),
        ("_ZN6tflite13optimized_ops9HardSwishIaEEvRKNS_15HardSwishParamsE", "elementwise"),
        ("PyEval_EvalFrame", "other"),
    ],
)
def test_a_kernels_layer_is_in_its_name(kernel: str, layer: str) -> None:
    assert tell_layer([kernel]) == layer


def test_a_loop_that_kernels_share_is_their_layers_if_they_agree() -> None:
    gemm, igemm, dwconv = "xnn_f32_gemm_minmax", "xnn_f32_igemm_minmax", "xnn_f32_dwconv_minmax"
    assert tell_layer([gemm, igemm]) == "products"
    assert tell_layer([gemm, dwconv]) == tell_layer([]) == "other"
