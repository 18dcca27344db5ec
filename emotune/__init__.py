"""emotune: ablation studies of image-emotion classifiers, with honest statistics.

>>> import emotune
>>> sorted(name for name in emotune.__all__ if name != "__version__")
['Contrast', 'InputError', 'Metric', 'Study', 'load_predictor', 'load_results', 'load_study', 'run_study', 'train_run']
"""

from emotune.api.results import load_predictor, load_results
from emotune.api.run_study import run_study
from emotune.api.train_run import train_run
from emotune.config.contrast import Contrast
from emotune.config.load import load_study
from emotune.config.metric import Metric
from emotune.config.study import Study
from emotune.core.errors import InputError
from emotune.core.version import VERSION as __version__

__all__ = ["Contrast", "InputError", "Metric", "Study", "__version__", "load_predictor", "load_results", "load_study",
           "run_study", "train_run"]  # fmt: skip
