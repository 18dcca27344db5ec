"""Becomes ``sitecustomize.py`` in the processes of a study with faults: see `disturbed`."""

import importlib.machinery
import json
import os
import signal  # noqa: F401  faults use it
import sys
import time  # noqa: F401  faults use it
from pathlib import Path

folder = Path(__file__).parent
now = {"variant": None, "step": 0, "stop": None}


class Disturber:
    """Loads the training loop, and wraps the functions that it calls."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        if name != "emotune.training.loop":
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        load = spec.loader.exec_module

        def exec_module(module):
            load(module)
            disturb(module)

        spec.loader.exec_module = exec_module
        return spec


def disturb(loop):
    def wrapped(name, before):
        original = getattr(loop, name)

        def function(*arguments, **options):
            before(*arguments, **options)
            return original(*arguments, **options)

        setattr(loop, name, function)

    wrapped("train", begin)
    wrapped("take_step", step)
    for name in ("write_predictions", "save_weights"):
        wrapped(name, lambda *_, at=name, **__: strike(at))


def begin(run, directory, world, *, stop, **_):
    now.update(variant=run.variant, rank=world.rank, step=0, stop=stop)
    left = [int(mark.read_text()) for mark in folder.glob(f"struck-{run.variant}.*[0-9]")]
    with (folder / "begun").open("a") as file:
        file.write(json.dumps([run.variant, [pid for pid in left if lives(pid)]]) + "\n")


def lives(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def step(learner, *_, **__):
    now["step"] += 1
    strike("take_step")
    with (folder / "journal").open("a") as journal:
        journal.write(f"{now['variant']} {now['rank']} {os.getpid()}\n")


def strike(at):
    for number, fault in enumerate(json.loads((folder / "faults.json").read_text())):
        if fault["at"] != at or fault["variant"] != now["variant"] or fault["rank"] != now["rank"]:
            continue
        if at == "take_step" and fault["step"] != now["step"]:
            continue
        mark = folder / f"struck-{fault['variant']}.{number}"
        if mark.exists() and not fault["always"]:
            continue
        with mark.with_suffix(".new").open("w") as file:
            file.write(str(os.getpid()))
        mark.with_suffix(".new").replace(mark)
        exec(fault["what"])


if __name__ == "sitecustomize":  # and not where tests are collected
    sys.meta_path.insert(0, Disturber)
