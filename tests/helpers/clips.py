"""A small model of open_clip with random weights."""

import json
from pathlib import Path
from typing import Any

import torch

ARCHITECTURE: dict[str, Any] = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 32, "head_width": 16, "patch_size": 8},
    "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1},
}


def clip(**options: Any) -> Any:
    """The model, the same each time, in evaluation mode."""
    from open_clip import CLIP

    torch.manual_seed(0)
    return CLIP(**ARCHITECTURE | options).eval()


def write_clip(folder: Path, **preprocessing: Any) -> None:
    """Writes ``clip.json``, as open_clip has it, and ``clip.safetensors``."""
    from safetensors.torch import save_file

    (folder / "clip.json").write_text(json.dumps({"model_cfg": ARCHITECTURE, "preprocess_cfg": preprocessing}))
    save_file({name: one.contiguous() for name, one in clip().state_dict().items()}, folder / "clip.safetensors")
