"""The interface of backbones: networks up to their last map, divided into stages."""

from collections.abc import Callable, Sequence

import torch
from torch import nn

from emotune.models.backbones.layout import Layout

__all__ = ["Backbone", "MapsFunction"]

MapsFunction = Callable[[nn.Module, torch.Tensor, int | None], list[torch.Tensor]]
"""A function of a network, of images (B, 3, H, W) and of a number of maps; it gives so many maps (B, C, h, w), from the
finest to the last. None asks for all of them, of which there is one per stage.
"""


class Backbone(nn.Module):
    """A network up to its last maps: (B, 3, H, W) → a list of maps (B, C, h, w), from the finest to the last.

    Attributes:
        network: The network without its classifier. In its ``state_dict``, names are those of its library.
        channels: The channels C of each map.
        sizes: The height and width (h, w) of each map for the network's input.

    Args:
        network: The network, as above.
        maps: The function that computes the network's maps.
        layout: A function that finds the network's layout: it may cost a forward pass.
        levels: The number of maps from the last one backwards.
    """

    channels: tuple[int, ...]
    sizes: tuple[tuple[int, int], ...]

    def __init__(
        self, network: nn.Module, maps: MapsFunction, layout: Callable[[nn.Module], Layout], levels: int
    ) -> None:
        super().__init__()
        self.network = network
        self._maps, self._layout, self._levels = maps, layout, levels
        found = layout(network)
        self.channels, self.sizes = found.channels[-levels:], found.sizes[-levels:]

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        return self._maps(self.network, x, self._levels)

    def stages(self) -> Sequence[Sequence[nn.Module]]:
        """All modules of the network, stage by stage from the input to the last map.

        A stage is what comes between two maps. Each module is in one stage, by itself: its submodules are listed, too,
        and may be in later stages. Modules without parameters, such as dropout, belong to what is around them.
        """
        return self._layout(self.network).stages(self.network)
