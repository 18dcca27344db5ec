"""Metrics of one run's predictions: a row per picture with ``target`` and ``logit_<class>``."""

import pandas as pd

__all__ = ["accuracy", "classes_of", "confusion", "predicted"]

PREFIX = "logit_"


def classes_of(predictions: pd.DataFrame) -> list[str]:
    """The class names, in the order of the logits."""
    return [column.removeprefix(PREFIX) for column in predictions.columns if column.startswith(PREFIX)]


def predicted(predictions: pd.DataFrame) -> pd.Series:
    """The class with the largest logit, per picture."""
    logits = predictions[[PREFIX + label for label in classes_of(predictions)]]
    return logits.idxmax(axis=1).str.removeprefix(PREFIX)


def accuracy(predictions: pd.DataFrame) -> float:
    """Per cent of the pictures whose class has the largest logit."""
    return float(100 * (predicted(predictions) == predictions["target"]).mean())


def confusion(predictions: pd.DataFrame) -> pd.DataFrame:
    """Pictures by target (rows) and predicted class (columns), all classes in the order of the logits."""
    labels = classes_of(predictions)
    table = pd.crosstab(predictions["target"], predicted(predictions))
    return table.reindex(index=labels, columns=labels, fill_value=0)
