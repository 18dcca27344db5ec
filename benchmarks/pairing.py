"""What pairing by seed is worth: correlation of variants over seeds, from the ``runs.csv`` of a report.

    python benchmarks/pairing.py reports/quickstart/runs.csv [METRIC]

Per pair of variants: Pearson's correlation over seeds, the standard deviation of the paired differences, and the one
expected of independent runs, √(s₁² + s₂²). The last lines pool both over all pairs (root mean square): pairing by seed
helps if the first is smaller.
"""

import sys
from itertools import combinations

import pandas as pd


def pairing(runs: pd.DataFrame, metric: str = "accuracy") -> pd.DataFrame:
    """One row per pair of variants with at least three finished seeds in common."""
    rows = []
    for dataset, group in runs[runs["state"] == "done"].groupby("dataset"):
        table = group.pivot(index="seed", columns="variant", values=metric)
        for first, second in combinations(table, 2):
            both = table[[first, second]].dropna()
            if len(both) < 3:
                continue
            unpaired = both.var().sum() ** 0.5
            correlation = both.corr().iloc[0, 1]
            sd = (both[first] - both[second]).std()
            rows.append((dataset, f"{first} - {second}", len(both), correlation, sd, unpaired))
    return pd.DataFrame(rows, columns=["dataset", "pair", "seeds", "correlation", "sd_paired", "sd_unpaired"])


def main() -> None:
    """Prints the table and the pooled values."""
    table_of_pairs = pairing(pd.read_csv(sys.argv[1]), *sys.argv[2:3])
    print(table_of_pairs.round(2).to_string(index=False))
    paired, unpaired = ((table_of_pairs[name] ** 2).mean() ** 0.5 for name in ("sd_paired", "sd_unpaired"))
    print(f"mean_correlation = {table_of_pairs['correlation'].mean():.2f}")
    print(f"sd_paired_vs_unpaired = {paired / unpaired:.2f}  ({paired:.2f} and {unpaired:.2f})")


if __name__ == "__main__":
    main()
