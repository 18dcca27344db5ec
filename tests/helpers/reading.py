"""The text of a small study that trains in seconds, its report with model cards, and a page as tags and text."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

from emotune.config.ablate_command import AblateCommand
from emotune.config.study import Study
from emotune.report.build import build_report
from emotune.runs.directory import RECORD
from emotune.runs.store import RunStore

# Enough large steps for the three variants, which start from equal weights, to predict differently.
STUDY = """
question: Does attention <really> help?
datasets: [{data}]
model: {{name: alexnet, width: 0.0625, weight_init: he}}
train: {{epochs: 1, batch_size: 8, lr: 0.05}}
baseline: alexnet
variants:
  alexnet: {{}}
  attention: {{model.name: attention}}
  tanh: {{model.name: attention, model.score: tanh}}
seeds: 2
contrasts: [attention - alexnet]
"""
COMMAND = AblateCommand("few.yaml", model_cards=True)


class Tags(HTMLParser):
    """The tags of a page with their attributes, and its visible text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict]] = []
        self.text = self.inside = ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.inside = tag

    def handle_data(self, data):
        if self.inside not in ("script", "style"):
            self.text += data

    def handle_endtag(self, tag):
        self.inside = ""

    def named(self, *names: str) -> list[dict]:
        """The attributes of all tags of these names."""
        return [attributes for tag, attributes in self.tags if tag in names]


def incomplete(page: str) -> tuple[int, int] | None:
    """The numbers of finished and of planned runs that a page gives at its top; None on the page of a whole study."""
    notes = re.findall(r'role="status">(.*?)</div>', page, re.S)
    assert len(notes) <= 1
    numbers = [int(number) for note in notes for number in re.findall(r"\b\d+\b", note)]
    return (numbers[0], numbers[1]) if notes else None


def report(finished, out: Path) -> tuple[Study, str, Path]:
    """The study, its page and the folder that it is in."""
    study, runs, pool = finished
    page = build_report(study, RunStore(pool).states(runs), out, COMMAND)
    return study, page.read_text(), out


def relist(run: Path) -> None:
    """Makes a run whose files were changed complete again: its record lists the sizes that they have now."""
    record = json.loads((run / RECORD).read_text())
    record["files"] = {name: (run / name).stat().st_size for name in record["files"]}
    (run / RECORD).write_text(json.dumps(record))
