"""Local response normalisation, forward and backward: ours against torch's, measured in turns; median ratio.

python benchmarks/lrn.py [--rounds 15]
"""

import time
from statistics import median

import torch
from torch import nn

from emotune.cli.arguments import CommandLine
from emotune.models.local_response import LocalResponseNorm

BATCH = 20


def seconds(module: nn.Module, x: torch.Tensor) -> float:
    """Seconds of one forward and backward pass."""
    started = time.perf_counter()
    module(x).sum().backward()
    return time.perf_counter() - started


def main() -> None:
    """Prints a line per number of channels."""
    parser = CommandLine(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15, help="measurements per number of channels (default: 15)")
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    ours, theirs = LocalResponseNorm(), nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2.0)
    for channels in (12, 24, 96):
        x = torch.randn(BATCH, channels, 55, 55).contiguous(memory_format=torch.channels_last).requires_grad_()
        pairs = [(seconds(ours, x), seconds(theirs, x)) for _ in range(rounds)][1:]
        ratio = median(their_s / our_s for our_s, their_s in pairs)
        ours_ms = 1e3 * median(our_s for our_s, _ in pairs)
        print(f"{channels:3d} channels: ours is {ratio:.1f} times as fast as torch's ({ours_ms:.1f} ms)")


if __name__ == "__main__":
    main()
