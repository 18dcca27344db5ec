"""Made-up results of three studies, and every figure of them."""

import io
from collections.abc import Callable
from functools import partial
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from PIL import Image

from emotune.analysis.feature_importance import FeatureImportance, FeatureLoss
from emotune.analysis.joint_interval import JointInterval
from emotune.analysis.learning import Learning, RunLearning, VariantLearning
from emotune.analysis.looks import Look
from emotune.analysis.prior import prior_predictor
from emotune.analysis.seeds import summarise
from emotune.analysis.validation_curves import CurvePoint
from emotune.analysis.verdict import Verdict
from emotune.config.contrast import Contrast
from emotune.config.labels import MIKELS
from emotune.config.metric import Metric
from emotune.config.target import Dimension
from emotune.report.figures import (
    accuracy,
    attention,
    calibration,
    classes,
    contrasts,
    curves,
    distributions,
    frames,
    importance,
    interactions,
    learning,
    ratings,
    transfer,
    tuning,
)
from emotune.report.figures.style import variant_colours
from emotune.report.transfer_report import MatrixRow

USUAL = ("alexnet", "attention", "dual", "dual-plain", "mldr")
MANY = tuple(f"attention-that-has-a-really-long-name-{i}" for i in range(12))
STUDIES = {
    "one": {"variants": ("alexnet",), "seeds": 1, "labels": ("negative", "positive"), "epochs": 1, "datasets": ["a"]},
    "usual": {"variants": USUAL, "seeds": 5, "labels": MIKELS, "epochs": 12, "datasets": ["scenes"]},
    "many": {"variants": MANY, "seeds": 2, "labels": tuple(f"class-number-{i}" for i in range(25)), "epochs": 5,
             "datasets": ["scenes", "fi-well-labelled", "emoset-118k-part-well"]},
}  # fmt: skip
METRIC = Metric()


def comparison(contrast: Contrast, dataset: str, values: list[float], verdict: Verdict | None) -> SimpleNamespace:
    """The fields of a comparison that figures use."""
    return SimpleNamespace(contrast=contrast, dataset=dataset, differences=dict(enumerate(values)),
                           summary=summarise(values), paired=summarise(values), verdict=verdict, late=())  # fmt: skip


def results(variants, seeds, labels, epochs, datasets) -> SimpleNamespace:
    """Tables as the analysis gives them, drawn by lot."""
    lot = np.random.default_rng(3)
    runs = pd.DataFrame([{"variant": v, "seed": s, "accuracy": 60 + i + lot.normal()}
                         for i, v in enumerate(variants) for s in range(seeds)])  # fmt: skip
    epoch = pd.DataFrame(
        [
            {"run": f"{v}-{s}", "variant": v, "seed": s, "epoch": e, "train_accuracy": 20 + 3 * e + lot.normal(),
             "val_accuracy": np.nan if e == 3 and s == 1 else 20 + 2 * e + lot.normal(),
             "attention_entropy": 3.58 - 0.01 * e * i if i else np.nan}
            for i, v in enumerate(variants) for s in range(seeds) for e in range(1, epochs + 1)
        ]
    )  # fmt: skip
    recalls = pd.DataFrame([{"variant": v, "seed": s, "label": label, "recall": lot.uniform(30, 90)}
                            for v in variants for s in range(seeds) for label in labels])  # fmt: skip
    mean = recalls[recalls["variant"] != variants[0]].groupby(["variant", "label"])["recall"].mean().reset_index()
    differences = mean.assign(n=seeds, mean=mean["recall"] - 60, low=mean["recall"] - 63, high=mean["recall"] - 55)
    shares = {v: pd.DataFrame(100 * lot.dirichlet(np.ones(len(labels)), len(labels)), list(labels), list(labels))
              for v in variants}  # fmt: skip
    pairs = [(v, variants[0]) for v in variants[1:7]] or [("a", "b")]
    compared = [comparison(Contrast.difference(*pair), d, list(lot.normal(i - 2, 1, seeds)), list(Verdict)[i % 4])
                for d in datasets for i, pair in enumerate(pairs)]  # fmt: skip
    crossed = [
        SimpleNamespace(contrast=c.contrast, dataset=c.dataset, seeds=tuple(range(seeds)), mean=c.summary.mean,
                        low=c.summary.mean - 1, high=c.summary.mean + 1,
                        crossed_low=c.summary.mean - 2 if seeds > 1 else None,
                        crossed_high=c.summary.mean + 2 if seeds > 1 else None)
        for c in compared
    ]  # fmt: skip
    summaries = {v: summarise(runs.loc[runs["variant"] == v, "accuracy"].tolist()) for v in variants}
    cost = pd.DataFrame([{"variant": v, "parameters": 6e7 * (1 + i % 4), "forward_flops": 1e9 * (1 + i % 5),
                          "train_s": 200.0 + i, "mean": s.mean, "low": s.low, "high": s.high}
                         for i, (v, s) in enumerate(summaries.items())])  # fmt: skip
    bins = {v: pd.DataFrame({"confidence": [20.0, 50, 95], "accuracy": [10.0, 60, 88], "share": [20.0, 50, 30],
                             "images": [9, 50, 30]})
            for v in variants}  # fmt: skip
    jpeg = io.BytesIO()
    Image.fromarray(lot.integers(0, 255, (6, 6, 3), np.uint8)).resize((96, 96)).save(jpeg, "JPEG", quality=20)
    noise = comparison(
        Contrast.difference(f"{variants[0]}-aa", variants[0]), datasets[0], list(lot.normal(0, 1, seeds)), None
    )
    cells = pd.DataFrame([{"first": a, "second": b, "seed": s, "value": (value := 60 + lot.normal()), "within": value}
                          for a in variants[:4] for b in labels[:4] for s in range(seeds)])  # fmt: skip
    return SimpleNamespace(
        cells=cells, variants=variants, seeds=seeds, colours=variant_colours(variants), runs=runs, epochs=epoch,
        recalls=recalls,
        differences=differences, shares=shares, compared=compared, crossed=crossed, summaries=summaries, cost=cost,
        bins=bins, image=jpeg.getvalue(), aa={datasets[0]: noise} if seeds > 1 else {},
        learning=learned(runs, variants, seeds),
        maps={f"{v} features.attention": lot.uniform(0.3, 2.5, (6, 6)) for v in variants},
        strips={
            v: pd.DataFrame(np.random.default_rng(i).uniform(0.3, 2.5, (1 + len(labels), 8)), ["all clips", *labels])
            for i, v in enumerate(variants)
        },
    )  # fmt: skip


def learned(runs: pd.DataFrame, variants, seeds) -> Learning:
    """Every second variant has learned, and so have its runs; the first run of others gives one answer."""
    images = pd.DataFrame({"sample_id": ["1"], "target": ["x"], "logit_x": [0.0]})
    means = runs.groupby("variant")["accuracy"].mean() - 100
    found = {v: VariantLearning(v, seeds, {"accuracy": JointInterval(seeds, means[v], means[v] - 2, means[v] + 2)},
                                i % 2 == 0) for i, v in enumerate(variants)}  # fmt: skip
    by_run = [RunLearning(v, s, i % 2 == 0, "x" if i % 2 and not s else None)
              for i, v in enumerate(variants) for s in range(seeds)]  # fmt: skip
    return Learning("scenes", prior_predictor(images, {"x": 1}), ("accuracy",), found, by_run)


def looks(results: SimpleNamespace) -> list[Look]:
    """Two looks at the first data set, of which the second has what the first leaves unresolved."""
    first = tuple(c for c in results.compared if c.dataset == results.compared[0].dataset)
    return [Look(2, 0.02, first), Look(5, 0.03, tuple(c for c in first if c.verdict == Verdict.UNRESOLVED))]


def means(results: SimpleNamespace) -> pd.DataFrame:
    """Mean distributions of all images and of those of each class, true and predicted."""
    lot, labels = np.random.default_rng(4), list(dict.fromkeys(results.recalls["label"]))
    rows = [
        (of, 10 + i, who, label, 100 * share)
        for i, of in enumerate(["all images", *labels]) for who in ("", *results.variants)
        for label, share in zip(labels, lot.dirichlet(np.ones(len(labels))), strict=True)
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=["of", "images", "who", "label", "share"])


def importance_of(results: SimpleNamespace) -> FeatureImportance:
    """The losses of as many groups as there are classes; some are below zero, and one does not vary."""
    lot, labels = np.random.default_rng(5), list(dict.fromkeys(results.recalls["label"]))
    losses = [
        FeatureLoss(f"a_set_of_features/{label}", 1 + 100 * i, 20 * 0.7**i - 1, float(i > 0) * lot.uniform(0, 2))
        for i, label in enumerate(labels)
    ]
    return FeatureImportance("svm", "scenes", 1, False, 1000, 1500, 10, "accuracy", 43.2, tuple(losses), ())


def transferred(results: SimpleNamespace) -> list[MatrixRow]:
    """Each variant on two data sets that it was trained on, and on both as the other one."""
    constants = {"scenes": 50.0, "emoset-118k-part-well": 61.5}
    return [
        MatrixRow(v, own, dict.fromkeys(constants, results.summaries[v]), constants)
        for own in constants for v in results.summaries
    ]  # fmt: skip


RATED = (Dimension("valence", 1, 7), Dimension("arousal", 0, 100))


def rated(r: SimpleNamespace) -> dict[str, dict[int, pd.DataFrame]]:
    """Predicted ratings of the first variants, each a little better than the one before; one dimension has no SD."""
    lot = np.random.default_rng(6)
    true = lot.uniform(-0.9, 0.9, (60, 2))
    frames: dict[str, dict[int, pd.DataFrame]] = {}
    for i, variant in enumerate(r.variants[:6]):
        for seed in range(r.seeds):
            columns = {"sample_id": [f"{n}" for n in range(60)]}
            for d, one in enumerate(RATED):
                predicted = 0.15 * i * true[:, d] + lot.normal(0, 0.2, 60)
                columns |= {f"true_{one.name}": true[:, d], f"predicted_{one.name}": predicted}
                columns[f"sd_{one.name}"] = np.full(60, np.nan if d else 0.3)
            frames.setdefault(variant, {})[seed] = pd.DataFrame(columns)
    return frames


def tried(r: SimpleNamespace) -> list[CurvePoint]:
    """Each variant at rates, of which one is chosen and another made a run diverge."""
    rates, lot = (0.001, 0.003, 0.01, 0.03), np.random.default_rng(5)
    values = [(v, rate, tuple(lot.normal(50, 3, 2).tolist())) for v in r.variants for rate in rates]
    return [CurvePoint(v, rate, one, int(rate == 0.03 and v == r.variants[-1]), float(rate == 0.01))
            for v, rate, one in values]  # fmt: skip


DRAW: dict[str, Callable[..., Figure]] = {
    "forest": lambda r, **width: contrasts.contrast_forest(r.compared, METRIC, r.aa, **width),
    "uncertainties": lambda r, **width: contrasts.interval_comparison(r.compared, r.crossed, METRIC, **width),
    "looks": lambda r, **width: contrasts.intervals_over_looks(looks(r), METRIC, **width),
    "by_seed": lambda r, **width: accuracy.metric_by_variant(
        "scenes", r.runs, METRIC, r.summaries, 12.5, r.colours, **width
    ),
    "against_cost": lambda r, **width: accuracy.metric_against_cost("scenes", r.cost, METRIC, r.colours, **width),
    "learned": lambda r, **width: learning.learned_by_seed("scenes", r.learning, r.runs, r.colours, **width),
    "tuning": lambda r, **width: tuning.validation_by_option(
        "scenes", "train.lr", tried(r), METRIC.scale, r.colours, **width
    ),
    "learning_curves": lambda r, **width: curves.learning_curves("scenes", r.epochs, r.colours, **width),
    "concordance_curves": lambda r, **width: curves.concordance_curves(
        "scenes", r.epochs.assign(val_ccc=r.epochs["val_accuracy"] / 100), r.colours, **width
    ),
    "rating_scatter": lambda r, **width: ratings.rating_scatter("scenes", rated(r), RATED, r.colours, **width),
    "rating_plane": lambda r, **width: ratings.rating_plane("scenes", rated(r), RATED, r.colours, **width),
    "attention_entropy": lambda r, **width: curves.attention_entropy(
        "scenes", r.epochs, r.colours, {v: (36, 49)[i % 2] for i, v in enumerate(r.variants)}, **width
    ),
    "importance": lambda r, **width: importance.losses_of_groups("scenes", importance_of(r), "#0072b2", **width),
    "recall": lambda r, **width: classes.recall("scenes", r.recalls, r.differences, r.variants[0], r.colours, **width),
    "confusions": lambda r, **width: classes.confusion_matrices(
        "scenes", r.shares, dict.fromkeys(r.variants, r.seeds), **width
    ),
    "confusion_differences": lambda r, **width: classes.confusion_differences(
        "scenes", r.shares, r.variants[0], **width
    ),
    "reliability": lambda r, **width: calibration.reliability(
        "scenes", r.bins, r.colours, dict.fromkeys(r.variants, 5.0), **width
    ),
    "distributions": lambda r, **width: distributions.mean_distribution_panels("scenes", means(r), r.colours, **width),
    "in_time": lambda r, **width: frames.attention_strips("scenes", r.strips, **width),
    "mean_maps": lambda r, **width: attention.mean_attention_maps("scenes", r.maps, **width),
    "transfer": lambda r, **width: transfer.transfer_matrix(transferred(r), METRIC, **width),
    "transfer_forest": lambda r, **width: contrasts.transfer_forest(
        [("twitter1 (all images), trained on fi", [(c, c) for c in r.compared[:4]])], METRIC, **width
    ),
    "interaction": lambda r, **width: interactions.interaction_plot(
        "scenes", ("attention-of-some-kind", "branches"), r.cells, r.compared[: r.seeds], METRIC, **width
    ),
}
DRAW |= {f"narrow_{kind}": partial(draw, narrow=True) for kind, draw in DRAW.items()}
DRAW["overlays"] = lambda r: attention.attention_overlays(
    "scenes", {v: r.image for v in r.variants}, {v: r.maps[f"{v} features.attention"] for v in r.variants},
    dict.fromkeys(r.variants, "awe: right in all seeds, where alexnet says contentment"),
)  # fmt: skip
DRAW["clips"] = lambda r: frames.attended_clips(
    "scenes", dict.fromkeys("abc", strip(r.image)),
    {v: dict.fromkeys("abc", table.to_numpy()[0]) for v, table in r.strips.items()},
    dict.fromkeys("abc", "a-class-of-a-really-long-name, which needs more than a line of a figure"),
)  # fmt: skip


def strip(image: bytes) -> bytes:
    """A clip of eight frames: the image, turned more and more."""
    frame, jpeg = Image.open(io.BytesIO(image)), io.BytesIO()
    Image.fromarray(np.concatenate([np.asarray(frame.rotate(90 * n)) for n in range(8)], axis=1)).save(jpeg, "JPEG")
    return jpeg.getvalue()


@pytest.fixture(scope="session", params=STUDIES)
def made_up(request) -> SimpleNamespace:
    """Results of a study."""
    return results(**STUDIES[request.param])


@pytest.fixture(scope="session")
def usual() -> SimpleNamespace:
    """Results of five variants and seeds."""
    return results(**STUDIES["usual"])


@pytest.fixture(scope="session", params=DRAW)
def draw(request) -> Callable[[SimpleNamespace], Figure]:
    """A kind of figure."""
    return DRAW[request.param]
