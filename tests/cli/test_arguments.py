"""Options are written out; a mistyped one is told the nearest; a path's ~ is the home folder, for every command."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from emotune import ablate, predict, shard
from emotune.cli import shard_options
from emotune.cli.ablate_options import parse
from emotune.cli.arguments import UNREAD, CommandLine, exits_on_broken_pipe, local_path, path_or_url
from emotune.core.cache_dir import cache_folder
from emotune.core.errors import InputError, closest

STUDY = """
question: Does it help?
datasets: [{data}]
model: {{width: 0.0625}}
baseline: a
variants: {{a: {{}}, b: {{model.width: 0.125}}}}
"""
COMMANDS = {
    "ablate": (ablate.main, ["--seed", "42"], "--seeds"),
    "ablate, a value with =": (ablate.main, ["--seed=42"], "--seeds"),
    "status": (ablate.main, ["status", "a.yaml", "--js"], ""),
    "rerun": (ablate.main, ["rerun", "a.yaml", "--fail"], "--failed"),
    "prune": (ablate.main, ["prune", "--ye"], "--yes"),
    "predict": (predict.main, ["run", "a.jpg", "--batch", "3"], "--batch-size"),
    "shard": (shard.main, ["folder", "photos", "--out", "x", "--max-aspec", "3"], "--max-aspect"),
    "shard, of a source": (shard.main, ["folder", "photos", "--out", "x", "--label", "any"], "--labels"),
    "verify": (shard.main, ["verify", "x", "--ou", "y"], ""),
}


@pytest.mark.parametrize(("main", "arguments", "meant"), COMMANDS.values(), ids=COMMANDS)
def test_an_unknown_option_is_refused_and_the_nearest_is_suggested(main, arguments, meant, capsys):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    message = capsys.readouterr().err
    assert "unrecognized arguments: --" in message
    assert meant in message.splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["folder", "photos", "--out", "x", "--target", "classes"], "shard folder"),
        (["--replace", "csv", "a.csv", "--out", "x"], "after csv"),
    ],
)
def test_an_option_of_another_command_is_not_suggested_for_itself(arguments, named, capsys):
    with pytest.raises(SystemExit):
        shard.main(arguments)
    message = capsys.readouterr().err.splitlines()[-1]
    assert named in message and "did you mean" not in message


def test_a_tilde_is_the_home_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert (path_or_url("~/x"), local_path("~/x")) == (str(tmp_path / "x"), tmp_path / "x")
    assert (path_or_url("s3://a/~/x"), path_or_url("a~"), path_or_url("-")) == ("s3://a/~/x", "a~", "-")
    options = parse(["~/s.yaml", "--runs=~/x", "--report=~/y", "--tensorboard", "~/z"])
    given = [options.study, options.runs, options.report, options.tensorboard]
    assert given == [f"{tmp_path}/{name}" for name in ("s.yaml", "x", "y", "z")]
    assert parse(["status", "~/s.yaml"]).study == parse(["prune", "~/s.yaml"]).studies[0] == f"{tmp_path}/s.yaml"
    parsed = shard_options.command_line().parse_args(["csv", "~/a.csv", "--out=~/b", "--downloads=~/c"])
    assert (parsed.table, parsed.out, parsed.downloads) == (tmp_path / "a.csv", f"{tmp_path}/b", tmp_path / "c")
    parsed = predict.command_line().parse_args(["~/run", "~/a.jpg", "--out=~/b", "--onnx=~/c"])
    assert (parsed.run, parsed.images) == (f"{tmp_path}/run", [f"{tmp_path}/a.jpg"])
    assert (parsed.out, parsed.onnx) == (tmp_path / "b", tmp_path / "c")


def test_the_cache_folder_follows_its_variable(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("EMOTUNE_CACHE", "~/c")
    assert cache_folder() == tmp_path / "c"
    monkeypatch.setenv("EMOTUNE_CACHE", "~no-such-user/c")
    with pytest.raises(InputError, match="EMOTUNE_CACHE=~no-such-user/c"):
        cache_folder()


def unread(main: Callable[[list[str]], int], *arguments: str) -> int:
    """What a command returns whose standard output is a pipe that nobody reads any more, as of ``… | head``."""
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as stream, pytest.MonkeyPatch.context() as patched:
        patched.setattr(sys, "stdout", stream)
        return main(list(arguments))


def test_a_command_ends_quietly_on_a_broken_pipe(small_shards, tmp_path, capsys):
    (tmp_path / "s.yaml").write_text(STUDY.format(data=small_shards))
    assert unread(ablate.main, str(tmp_path / "s.yaml"), "--plan", "--runs", str(tmp_path / "runs")) == UNREAD == 141
    assert unread(shard.main, "verify", str(small_shards)) == UNREAD
    assert "roken" not in capsys.readouterr().err


@pytest.mark.parametrize("main", [ablate.main, shard.main, predict.main])
def test_help_ends_quietly_on_a_broken_pipe(main):
    assert unread(main, "--help") == UNREAD


def test_a_broken_pipe_elsewhere_is_an_error(capsys):
    def broken(_: object) -> int:
        raise BrokenPipeError("a worker's")

    with pytest.raises(BrokenPipeError):
        exits_on_broken_pipe(broken)([])


@pytest.mark.parametrize("text", ["", "a\0b", "~no-such-user/x"])
def test_an_invalid_path_is_refused(text, capsys):
    parser = CommandLine()
    parser.add_argument("--runs", type=path_or_url)
    with pytest.raises(SystemExit) as ended:
        parser.parse_args([f"--runs={text}"])
    assert ended.value.code == 2
    assert "argument --runs: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("word", "meant"),
    [("atention", "attention"), ("Alexnet", "alexnet"), ("dual", "dual_branch"), ("mldrv2", "mldr_v2"),
     ("resnet18", None), ("resnet50", None), ("googlenet", None), ("mobilenet", None), ("vgg16", None), ("", None)],
)  # fmt: skip
def test_only_similar_words_are_suggested(word, meant):
    assert closest(word, ["alexnet", "attention", "dual_branch", "mldr", "mldr_v2", "constant", "svm"]) == meant


def test_every_parser_of_the_repository_refuses_abbreviations():
    root = Path(__file__).parents[2]
    for path in [p for folder in ("emotune", "benchmarks", "cluster") for p in (root / folder).rglob("*.py")]:
        text = path.read_text()
        if "ArgumentParser(" in text.replace("(argparse.ArgumentParser)", ""):
            assert "allow_abbrev=False" in text, path
