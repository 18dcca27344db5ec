"""Describes backbones of libraries, in a process of its own: ``python -m emotune.models.backbones.describe NAME…``.

It prints JSON: by name, either the fields of `emotune.models.backbones.catalogue.BackboneInfo`, or ``{"problem": …}``.
"""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

from emotune.core.errors import InputError
from emotune.models.backbones.build import library_layout, library_network
from emotune.models.meta_device import on_meta_device

__all__ = ["describe"]


def describe(name: str) -> dict[str, Any]:
    """The description of a backbone, as JSON.

    Args:
        name: The library and the name, such as ``timm:resnet18``.

    Raises:
        InputError: the library has no such network, or it is not supported.
    """
    library, _, network = name.partition(":")
    url = digest = ""
    if library == "timm":
        from emotune.models.backbones.timm_networks import timm_input

        with on_meta_device():
            input_spec = timm_input(library_network(name, None)[0])
    else:
        from emotune.models.backbones.torchvision_networks import torchvision_input, torchvision_weights

        input_spec, url = torchvision_input(network), torchvision_weights(network)
        digest = Path(urlparse(url).path).stem.rpartition("-")[2]
    layout = library_layout(name, input_spec.side)
    return {"input": asdict(input_spec), "stages": len(layout.channels), "weights_url": url, "weights_digest": digest}


def main(names: list[str]) -> None:
    """Prints the description of each backbone."""
    found: dict[str, Any] = {}
    for name in names:
        try:
            found[name] = describe(name)
        except InputError as error:
            found[name] = {"problem": str(error)}
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1:])
