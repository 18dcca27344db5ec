"""The bound that the raters' noise sets, in sentences beside the measures of predicted ratings."""

from collections.abc import Sequence

from emotune.analysis.rating_arrays import dimensions_in, true_of
from emotune.analysis.rating_noise import noise_bound
from emotune.core.sample_noun import worded
from emotune.core.text import listed
from emotune.report.dataset_info import DatasetInfo
from emotune.report.results import StudyResults

__all__ = ["noise_sentences"]


def noise_sentences(results: StudyResults, datasets: Sequence[DatasetInfo]) -> list[str]:
    """A sentence for each data set whose numbers of raters are known, and how it is computed; empty without any.

    Args:
        results: The study's results.
        datasets: The descriptions of its data sets.
    """
    texts = [text for data in datasets if (text := _sentence(results, data, named=len(datasets) > 1))]
    if not texts:
        return []
    return [
        *texts,
        f"These bounds take raters as drawn anew for each {worded('image')}, and the mean squared standard error over "
        f"all {worded('images')} of the source. Reliability R is one minus that error divided by the variance of the "
        "test set's mean ratings; r is √R (Spearman 1904), and the CCC 2R / (1 + R), our own derivation. The numbers "
        "are estimates: a measure can lie a little above.",
    ]


def _sentence(results: StudyResults, data: DatasetInfo, *, named: bool) -> str:
    errors = data.manifest.rating_errors if data.manifest else {}
    frame = next((f for by_seed in results.predictions[data.name].values() for f in by_seed.values()), None)
    if frame is None:
        return ""
    names, parts = dimensions_in(frame), []
    for one in data.dimensions:
        if one.name in errors and one.name in names:
            own = one.from_unit(true_of(frame)[:, names.index(one.name)])
            bound = noise_bound(own, errors[one.name])
            parts.append(
                f"for {one.name} a CCC of {bound.ccc:.3f}, Pearson's r of {bound.pearson:.3f} and an RMSE of "
                f"{bound.rmse:.2f} (reliability {bound.reliability:.3f})"
            )
    if not parts:
        return ""
    where = f"{data.name}: the" if named else "The"
    return (
        f"{where} mean ratings have the noise of those who happened to rate. A prediction that knew the mean over all "
        f"possible raters would reach {listed(parts)}."
    )
