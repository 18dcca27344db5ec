"""The means of the combinations of two factors, seed by seed: what a plot of an interaction shows."""

from collections.abc import Sequence

import pandas as pd

from emotune.config.design.factors import Layout, cells

__all__ = ["cell_values"]


def cell_values(runs: pd.DataFrame, layout: Layout, factors: Sequence[str], metric: str) -> pd.DataFrame:
    """The metric at each combination of the levels of two factors, averaged over all others, by seed.

    Only seeds count in which all variants of the factors have a finite value, because means over different seeds
    differ for that reason alone.

    Args:
        runs: The finished runs of one data set with ``variant``, ``seed`` and the metric.
        layout: The factors of the study.
        factors: The two factors.
        metric: The column of the metric.

    Returns:
        ``first, second, seed, value, within``: the levels of the two factors, the metric, and the same without what all
        combinations of a seed share, around the mean over seeds. Empty without a complete seed.
    """
    variants = {v for names in cells(layout).values() for v in names}
    by_seed = runs[runs["variant"].isin(variants)].pivot_table(index="seed", columns="variant", values=metric)
    by_seed = by_seed.reindex(columns=sorted(variants))
    by_seed = by_seed[by_seed.abs().lt(float("inf")).all(axis=1)]
    tables = [
        pd.DataFrame({"first": one, "second": other, "seed": by_seed.index, "value": by_seed[names].mean(axis=1)})
        for (one, other), names in cells(layout, factors).items()
    ]
    table = pd.concat(tables, ignore_index=True)
    shared = table.groupby("seed")["value"].transform("mean")
    return table.assign(within=table["value"] - shared + table["value"].mean())
