"""What the options of a step do to it: clipping, the average of weights, precision, compiling."""

from pathlib import Path

import numpy as np
import pytest
import torch
from running import ALONE, Start, changed, gradient, start, trained, weights

from emotune.config.resources import Resources
from emotune.config.run import RunConfig
from emotune.data.read.batches import open_split
from emotune.training.evaluate import evaluate
from emotune.training.step import StepResult, backward, take_step


def steps(begun: Start, count: int = 4, lr: float = 0.01) -> list[StepResult]:
    return [take_step(begun.state, batch, begun.randomness, lr) for batch in list(begun.batches)[:count]]


@pytest.mark.parametrize("limit", [0.05, 1.0])
def test_a_gradient_is_clipped_to_the_limit_and_keeps_its_direction(run: RunConfig, limit: float):
    plain, clipped = start(run), start(changed(run, clip_norm=limit))
    backward(plain.state, next(plain.batches), plain.randomness)
    (result,) = steps(clipped, 1)
    whole, short = gradient(plain.state), gradient(clipped.state)
    assert result.norm == pytest.approx(whole.norm().item(), rel=1e-5)
    assert result.norm > limit, "else this shows nothing"
    assert short.norm().item() == pytest.approx(limit, rel=1e-3)
    assert torch.cosine_similarity(whole, short, dim=0).item() == pytest.approx(1, abs=1e-4)


def test_a_limit_that_no_gradient_reaches_changes_nothing(run: RunConfig):
    plain, clipped = start(run), start(changed(run, clip_norm=1e6))
    assert [result.loss for result in steps(plain)] == [result.loss for result in steps(clipped)]
    assert torch.equal(weights(plain.state.network), weights(clipped.state.network))


def test_the_average_of_weights_is_the_one_calculated_by_hand_and_is_what_is_tested(run: RunConfig):
    begun, plain = start(changed(run, ema_decay=0.7)), start(run)
    expected = None
    for batch in list(begun.batches)[:4]:
        take_step(begun.state, batch, begun.randomness, 0.01)
        now = weights(begun.state.network).double()
        expected = now if expected is None else 0.7 * expected + 0.3 * now
    torch.testing.assert_close(weights(begun.state.result).double(), expected, rtol=1e-5, atol=1e-7)
    steps(plain)
    assert torch.equal(weights(begun.state.network), weights(plain.state.network)), "it has no say in the steps"
    assert not torch.equal(weights(begun.state.result), weights(begun.state.network))


def test_the_average_is_validated_and_tested_in_place_of_the_network(run: RunConfig, tmp_path: Path):
    runs = [changed(run, epochs=1, lr=0.02, ema_decay=decay) for decay in (0.0, 0.9)]
    (plain, _), (averaged, _) = (trained(r, tmp_path) for r in runs)
    assert plain["last_epoch"]["train_loss"] == averaged["last_epoch"]["train_loss"]
    assert plain["last_epoch"]["val_loss"] != averaged["last_epoch"]["val_loss"]


def test_bf16_calculates_nearly_the_same_and_keeps_its_weights_in_float32(run: RunConfig):
    exact, rough = start(run), start(changed(run, precision="bf16"))
    for begun in (exact, rough):
        backward(begun.state, next(begun.batches), begun.randomness)
    a, b = gradient(exact.state), gradient(rough.state)
    assert torch.cosine_similarity(a, b, dim=0).item() > 0.99
    assert not torch.equal(a, b)
    steps(rough)
    kept = [
        *rough.state.network.parameters(),
        *(v["momentum_buffer"] for v in rough.state.optimizer.state.values()),
    ]
    assert {tensor.dtype for tensor in kept} == {torch.float32}
    val = open_split(run.dataset, "val")
    logits = [evaluate(exact.state.network, val, ALONE, precision=p).logits for p in ("float32", "bf16")]
    assert logits[1].dtype == np.float32
    assert 0 < np.abs(logits[0] - logits[1]).max() < 0.05 * np.abs(logits[0]).max()


def test_a_run_is_validated_and_tested_in_the_precision_that_it_is_trained_in(run: RunConfig, tmp_path: Path):
    run, seen = changed(run, epochs=1, precision="bf16"), []

    def look(module: torch.nn.Module, inputs: object, output: torch.Tensor) -> None:
        if isinstance(module, torch.nn.Linear) and not output.is_meta:  # as it is where FLOPs are counted
            seen.append((module.training, output.dtype))

    with torch.nn.modules.module.register_module_forward_hook(look):
        trained(run, tmp_path)
    assert set(seen) == {(True, torch.bfloat16), (False, torch.bfloat16)}


def test_tf32_is_float32_on_a_cpu(run: RunConfig, tmp_path: Path):
    runs = [changed(run, epochs=1, precision=precision) for precision in ("float32", "tf32")]
    records = [trained(r, tmp_path)[0] for r in runs]
    assert records[0]["last_epoch"]["val_loss"] == records[1]["last_epoch"]["val_loss"]
    assert [record["numerics"]["tf32"] for record in records] == [False, False]


@pytest.mark.slow
@pytest.mark.timeout(1800)  # the compiler is slow on a full machine
@pytest.mark.parametrize("settings", [{}, {"precision": "bf16", "ema_decay": 0.5}])
def test_compiled_steps_are_those_that_are_not_but_for_rounding(run: RunConfig, settings: dict):
    run = changed(run, batch_size=17, dropout=0.5, lr=0.001, **settings)  # batches of 15 and 14
    plain, compiled = start(run), start(run, resources=Resources(compile=True, accumulate=2))
    close = 0.05 if settings else 1e-4
    for one, other in zip(steps(plain, 5, 0.001), steps(compiled, 5, 0.001), strict=True):
        assert other.loss == pytest.approx(one.loss, rel=close)
    torch.testing.assert_close(
        weights(plain.state.result), weights(compiled.state.result), rtol=close, atol=close * 0.01
    )
