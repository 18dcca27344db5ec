"""Does attention help on your own images? From a folder of images per class to verdicts, in Python.

    python examples/own_images.py IMAGES [--epochs 20] [--seeds 5] [--width 0.25]

Writes shards to ./data, runs to ./runs and the report to ./reports/own-images. Run it again to continue.
"""

import argparse
from pathlib import Path

from emotune import Study, load_predictor, load_results, run_study
from emotune.config.model import AlexNetConfig, AttentionConfig
from emotune.config.train import TrainConfig
from emotune.core.storage import Folder
from emotune.data.build.shards import write_shards
from emotune.data.sources.class_folders import ClassFolders
from emotune.execution.run.session import ExecutionOptions


def main() -> None:
    """Writes shards, trains both variants, and prints the comparison and some predictions."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", type=Path, help="a folder with one folder of images per class")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--width", type=float, default=0.25, help="factor of all channels (default: %(default)s)")
    options = parser.parse_args()

    images = ClassFolders(options.images, labels="any").listing()
    write_shards(images, Folder("data"))

    train = TrainConfig(epochs=options.epochs, batch_size=16)
    study = Study(
        name="own-images",
        question="Does attention help on my images?",
        datasets="data",
        baseline="alexnet",
        variants={
            "alexnet": (AlexNetConfig(width=options.width, weight_init="he"), train),
            "attention": (AttentionConfig(width=options.width, weight_init="he"), train),
        },
        seeds=options.seeds,
        contrasts=["attention - alexnet"],
    )
    run_study(study, options=ExecutionOptions(executor="local"))  # without it: several runs at a time, on Ray

    results = load_results(study)
    print(results.comparisons.to_string(index=False))
    run = results.runs[results.runs["variant"] == "attention"]["run"].iloc[0]
    some = [entry.image for entry in images.entries[:3]]
    for path, label in zip(some, load_predictor(f"runs/{run}").predict(some).labels, strict=True):
        print(path, label)


if __name__ == "__main__":
    main()
