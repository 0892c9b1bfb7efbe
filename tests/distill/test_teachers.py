"""Teachers against scikit-learn, against each other, and against what they must never do."""

import numpy as np
import pytest
import torch
from learning import build
from sklearn.ensemble import RandomForestClassifier
from torch import nn

from compress.distill import Device, ModuleTeacher, Normalized, ProbabilityTeacher, SoftTargets, identify
from compress.distill.teachers import combine_logits
from compress.errors import ModelError
from compress.models.vit import vit

CPU = Device(name="cpu", bf16=False, threads=1)
IMAGES = torch.from_numpy(np.random.default_rng(0).random((40, 1, 8, 8), dtype=np.float32))
LOGITS = [torch.randn(8, 5, generator=torch.Generator().manual_seed(seed)) * 3 for seed in range(3)]


def test_a_module_answers_in_evaluation_mode_without_a_graph() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(64, 10)).train()
    teacher = ModuleTeacher(model=model)
    one, other = (teacher.logits(IMAGES, CPU) for _ in range(2))
    assert torch.equal(one, other)
    assert not one.requires_grad
    assert one.dtype == torch.float32


def test_the_identity_of_a_module_follows_its_weights_buffers_structure_and_code() -> None:
    def identity(change=lambda _: None, code: str = "") -> str:
        model = build()
        change(model)
        return ModuleTeacher(model=model, code=code).identity

    def move_a_weight(model: nn.Module) -> None:
        with torch.no_grad():
            next(model.parameters()).flatten()[0] += 1e-6

    def move_a_statistic(model: nn.Module) -> None:
        next(m for m in model.modules() if isinstance(m, nn.BatchNorm2d)).running_mean[0] += 1  # type: ignore[index]

    assert identity() == identity(lambda model: model.to(memory_format=torch.channels_last))
    plain, wrapped = build(), Normalized(build(), [0.5], [0.5])
    assert ModuleTeacher(model=plain).identity != ModuleTeacher(model=wrapped).identity
    assert ModuleTeacher(model=wrapped).identity != ModuleTeacher(model=Normalized(build(), [0.4], [0.5])).identity
    assert len({identity(), identity(move_a_weight), identity(move_a_statistic), identity(code="x")}) == 4


def test_a_teacher_normalises_its_own_input() -> None:
    inputs = torch.rand(2, 3, 4, 4)
    mean, std = np.array([0.1, 0.2, 0.3]), np.array([1.0, 2.0, 4.0])
    expected = (inputs.numpy() - mean[:, None, None]) / std[:, None, None]
    given = Normalized(nn.Identity(), mean.tolist(), std.tolist())(inputs)
    np.testing.assert_allclose(given.numpy(), expected, rtol=1e-5, atol=1e-6)
    for arguments in (([0.1], [0.1, 0.2]), ([], []), ([0.1], [0.0])):
        with pytest.raises(ModelError, match="normalize: mean"):
            Normalized(nn.Identity(), *arguments)


def test_an_ensemble_of_scikit_learn_teaches_its_own_probabilities() -> None:
    labels = np.arange(len(IMAGES)) % 4
    forest = RandomForestClassifier(5, max_depth=2, random_state=0).fit(IMAGES.flatten(1).numpy(), labels)
    teacher = ProbabilityTeacher(
        predict=lambda images: forest.predict_proba(images.reshape(len(images), -1)), identity="f"
    )
    given = torch.softmax(teacher.logits(IMAGES, CPU), dim=1)
    # A probability of 0 counts as 1e-6, so that its logarithm exists.
    np.testing.assert_allclose(given.numpy(), forest.predict_proba(IMAGES.flatten(1).numpy()), atol=4e-6)


def test_a_callable_gets_an_array_of_its_own() -> None:
    def ruin(images: np.ndarray) -> np.ndarray:
        assert images.flags.c_contiguous
        images[:] = 0
        return np.full((len(images), 2), 0.5)

    inputs = IMAGES.clone().contiguous(memory_format=torch.channels_last)
    ProbabilityTeacher(predict=ruin, identity="r").logits(inputs, CPU)
    assert torch.equal(inputs, IMAGES)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (np.zeros((40, 3)), "rows that miss 1 by up to 1; expected probabilities"),
        (np.full((40, 2), 0.6), "miss 1 by up to 0.2"),
        (np.tile([1.5, -0.5], (40, 1)), "values from -0.5 to 1.5"),
        (np.full((40, 2), np.nan), "expected probabilities"),
        (np.full(40, 0.5), r"returned shape \(40,\) for 40 samples"),
        (np.full((39, 2), 0.5), r"returned shape \(39, 2\) for 40 samples"),
        (np.zeros((40, 0)), r"returned shape \(40, 0\)"),
        ([np.full((40, 2), 0.5)] * 2, r"returned shape \(2, 40, 2\)"),
    ],
)
def test_what_is_no_probability_is_refused(answer, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        ProbabilityTeacher(predict=lambda _: answer, identity="p").logits(IMAGES, CPU)


@pytest.mark.parametrize("temperature", [1.0, 4.0, 20.0])
def test_the_mean_probability_has_the_gradient_of_the_mean_divergence(temperature: float) -> None:
    loss = SoftTargets(temperature=temperature)
    student = [torch.randn(8, 5, generator=torch.Generator().manual_seed(9)).requires_grad_() for _ in range(2)]
    loss(student[0], combine_logits(LOGITS, "mean_probability", temperature), None).backward()
    sum(loss(student[1], each, None) / len(LOGITS) for each in LOGITS).backward()  # type: ignore[union-attr]
    assert student[0].grad is not None
    torch.testing.assert_close(student[0].grad, student[1].grad, rtol=1e-4, atol=1e-6)


def test_the_mean_logit_is_a_geometric_mean_to_which_offsets_mean_nothing() -> None:
    moved = [LOGITS[0] + 100, *LOGITS[1:]]
    expected = np.exp(np.mean([np.log(torch.softmax(each.double(), 1).numpy()) for each in LOGITS], axis=0))
    given = torch.softmax(combine_logits(moved, "mean_logit", 4.0), 1).numpy()
    np.testing.assert_allclose(given, expected / expected.sum(1, keepdims=True), rtol=1e-3)


@pytest.mark.parametrize("combine", ["mean_probability", "mean_logit"])
def test_one_teacher_is_taken_at_its_word(combine) -> None:
    assert combine_logits(LOGITS[:1], combine, 4.0) is LOGITS[0]


def test_what_no_weight_shows_is_in_the_identity() -> None:
    """Attention with more heads has the same weights and prints the same."""

    def small(heads: int) -> nn.Module:
        torch.manual_seed(0)
        return vit(in_channels=1, classes=3, image_size=8, patch_size=4, width=8, depth=1, heads=heads)

    assert identify(small(1)) == identify(small(1))
    assert identify(small(1)) != identify(small(2))
    trained = small(1)
    before = ModuleTeacher(model=trained).identity
    with torch.no_grad():
        next(trained.parameters()).add_(1e-3)
    assert ModuleTeacher(model=trained).identity != before


def test_a_module_answers_in_float32_wherever_the_student_trains() -> None:
    model, inputs = nn.Sequential(nn.Flatten(), nn.Linear(16, 3)), torch.rand(2, 1, 4, 4)
    answer = ModuleTeacher(model=model).logits(inputs, Device(name="cpu", bf16=True, threads=1))
    with torch.no_grad():
        assert torch.equal(answer, model(inputs))
