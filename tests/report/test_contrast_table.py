"""The table of declared contrasts, and the last lines of the command."""

import re
from pathlib import Path

from seed_tables import AB, analyse, rows

from emotune.config.contrast import Contrast
from emotune.config.metric import Metric
from emotune.report.contrast_table import closing_lines, contrast_table

TABLE = rows(a=[70.9, 66.8, 64.0], b=[64.2, 60.3, 57.2], c=[69.5, 66.3, 65.9], e=[62.2, 57.0, 59.7])
CONTRASTS = [AB, Contrast.difference("e", "b"), Contrast.difference("absent", "b")]


def test_a_row_has_the_interval_of_the_verdict_and_the_paired_one_beside_it():
    others = analyse(TABLE, CONTRASTS, ["d"], 3, Metric())
    table = contrast_table(others)
    first, last = table.iloc[0], table.iloc[2]
    c = others[0].comparison
    assert (first["low"], first["high"]) == c.summary.interval
    assert (first["paired_low"], first["paired_high"]) == c.paired.interval
    assert (first["verdict"], first["p"], first["sd"], first["df"]) == ("better", c.p, c.joint.sd, c.joint.df)
    assert last["seeds"] == 0 and last[["mean", "low", "high", "p"]].isna().all()
    assert (first["contrast"], first["variant"], first["reference"], first["weights"]) == ("a - b", "a", "b", "a - b")
    assert list(contrast_table([]).columns) == list(table.columns)


def test_a_contrast_of_several_variants_has_a_name_and_a_formula(tmp_path: Path):
    mean = Contrast("two", {"a": 0.5, "c": 0.5, "b": -1})
    table = contrast_table(analyse(TABLE, [mean], ["d"], 3, Metric()))
    assert table.iloc[0][["contrast", "variant", "weights"]].tolist() == ["two", "", "1/2 a + 1/2 c - b"]
    table.to_csv(tmp_path / "contrasts.csv", index=False)
    assert closing_lines(tmp_path, Metric())[0].startswith("better: two,")


def test_the_last_lines_are_the_verdicts_of_the_table(tmp_path: Path):
    contrast_table(analyse(TABLE, CONTRASTS, ["d"], 3, Metric())).to_csv(tmp_path / "contrasts.csv", index=False)
    better, unresolved, absent = closing_lines(tmp_path, Metric())
    assert better.startswith("better: a - b,") and unresolved.startswith("unresolved: e - b,")
    mean, level, low, high = re.findall(r"[+−-]?\d+(?:\.\d+)?", better)
    assert (mean, level) == ("+6.7", "95") and 0 < float(low) < 6.7 < float(high)
    assert absent.startswith("unresolved: absent - b,") and not re.search(r"\d", absent)
    assert closing_lines(tmp_path / "elsewhere", Metric()) == []
