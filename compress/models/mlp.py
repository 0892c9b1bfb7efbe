"""A multilayer perceptron with ReLU, the network of Hinton et al. 2015, section 3 (784-1200-1200-10)."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

from compress.errors import ModelError


class MLP(nn.Module):
    """Dropout of the input, hidden layers with ReLU and dropout, a linear classifier."""

    def __init__(
        self, in_features: int, classes: int, widths: tuple[int, ...], dropout: float, input_dropout: float
    ) -> None:
        super().__init__()
        self.in_features = in_features
        self.input_dropout = nn.Dropout(input_dropout)
        self.hidden = nn.Sequential(
            *(
                nn.Sequential(nn.Linear(i, o), nn.ReLU(inplace=True), nn.Dropout(dropout))
                for i, o in pairwise((in_features, *widths))
            )
        )
        self.classifier = nn.Linear((in_features, *widths)[-1], classes)
        self._initialise()

    def forward(self, x: Tensor) -> Tensor:
        """(batch, features) or (batch, channels, height, width) to logits (batch, classes).

        Raises:
            ModelError: the input has another number of features.
        """
        features = x.flatten(1)
        if features.shape[1] != self.in_features:
            raise ModelError(
                f"mlp: an input has {features.shape[1]} features (shape {tuple(x.shape[1:])}); expected "
                f"{self.in_features}; set in_features to {features.shape[1]}"
            )
        return self.classifier(self.hidden(self.input_dropout(features)))

    def _initialise(self) -> None:
        """He et al. 2015: the size of the activations is the same in every hidden layer."""
        for layer in self.hidden.modules():
            if isinstance(layer, nn.Linear):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                nn.init.zeros_(layer.bias)
        nn.init.normal_(self.classifier.weight, 0.0, 0.01)
        nn.init.zeros_(self.classifier.bias)


def mlp(
    *,
    in_features: int,
    classes: int,
    widths: tuple[int, ...] = (1200, 1200),
    dropout: float = 0.0,
    input_dropout: float = 0.0,
) -> nn.Module:
    """A multilayer perceptron.

    Args:
        in_features: numbers in one input: channels * height * width of images, flattened in this order.
        classes: number of logits.
        widths: units of each hidden layer; none leaves a linear classifier.
        dropout: share of the hidden units that a training step drops (Hinton's teacher: 0.5).
        input_dropout: share of the input that a training step drops (Hinton's teacher: 0.2).
    """
    return MLP(in_features, classes, widths, dropout, input_dropout)
