"""Networks written for one process get dropout whose masks follow from images."""

import pytest
import torch
from torch import nn

from emotune.core.errors import InputError
from emotune.models.adapt import adapt_network
from emotune.models.dropout import SampleAlphaDropout, SampleDropout, set_dropout_seeds


class Noise(nn.Dropout):
    """A user's dropout, which does something else."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + 1


class Renamed(nn.Dropout):
    """A subclass that changes nothing."""


class Tiny(nn.Module):
    """Dropout in each place where one may be, one of them twice."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Dropout2d(0.25), nn.SELU(), nn.AlphaDropout(0.1))
        self.drop = Renamed(0.5, inplace=True)
        self.again = self.drop
        self.noise = Noise(0.5)
        self.encoder = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.3, batch_first=True)
        self.head = nn.Linear(8, 4)
        self.nothing = None
        self.register_module("none", None)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        tokens = self.stem(images).flatten(2).transpose(1, 2)
        return self.head(self.noise(self.again(self.drop(self.encoder(tokens)))).mean(1))


def test_dropout_layers_are_replaced_where_they_stand_with_their_settings():
    network = Tiny()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    replaced = adapt_network(network)
    places = ["stem.1", "stem.3", "drop", "encoder.dropout", "encoder.dropout1", "encoder.dropout2"]
    assert replaced == places
    layers = {path: layer for path, layer in network.named_modules() if isinstance(layer, SampleDropout)}
    assert list(layers) == places
    assert [layer.p for layer in layers.values()] == [0.25, 0.1, 0.5, 0.3, 0.3, 0.3]
    assert [path for path, layer in layers.items() if layer.whole_channels] == ["stem.1"]
    assert [path for path, layer in layers.items() if layer.inplace] == ["drop"]
    assert [path for path, layer in layers.items() if isinstance(layer, SampleAlphaDropout)] == ["stem.3"]
    assert network.again is network.drop
    assert type(network.noise) is Noise
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    assert adapt_network(network) == []


def test_outputs_in_training_belong_to_the_images_whatever_the_batch():
    network, images = Tiny(), torch.randn(3, 3, 6, 6)
    network.encoder.self_attn.dropout = 0.0  # drawn from torch's generator
    adapt_network(network)
    outputs = []
    for chosen in ([0, 1, 2], [2, 0], [1]):
        set_dropout_seeds(network, torch.tensor([7, 8, 9])[chosen])
        outputs.append(network(images[chosen]))
    torch.testing.assert_close(outputs[1], outputs[0][[2, 0]])
    torch.testing.assert_close(outputs[2], outputs[0][[1]])


def test_layers_without_shapes_are_refused_by_name():
    with pytest.raises(InputError, match=r"1, 2 .*number of inputs"):
        adapt_network(nn.Sequential(nn.Conv2d(3, 8, 3), nn.LazyBatchNorm2d(), nn.LazyLinear(4)))
