import pytest
import torch
from running import changed, start

from emotune.config.model import AlexNetConfig
from emotune.config.optimizers import OPTIMIZERS
from emotune.config.run import RunConfig
from emotune.config.train import TrainConfig
from emotune.core.errors import InputError
from emotune.models.build import build
from emotune.models.layer_depth import layers_above
from emotune.training.optim import check_optimizer, learning_rate, make_average, make_optimizer
from emotune.training.step import take_step


def rates(train: TrainConfig, steps_per_epoch: int = 4) -> list[float]:
    return [learning_rate(train, step, steps_per_epoch) for step in range(train.epochs * steps_per_epoch)]


def test_cosine_falls_from_the_learning_rate_towards_zero():
    lrs = rates(TrainConfig(epochs=5, lr=0.1))
    assert lrs[0] == pytest.approx(0.1)
    assert lrs == sorted(lrs, reverse=True)
    assert lrs[len(lrs) // 2] == pytest.approx(0.05)
    assert 0 < lrs[-1] < 0.001


def test_step_divides_by_ten_every_step_epochs():
    lrs = rates(TrainConfig(epochs=6, lr=0.1, schedule="step", step_epochs=2))
    assert lrs == pytest.approx([0.1] * 8 + [0.01] * 8 + [0.001] * 8)


def test_step_multiplies_by_the_factor():
    lrs = rates(TrainConfig(epochs=4, lr=0.1, schedule="step", step_epochs=1, step_factor=0.5))
    assert lrs == pytest.approx([0.1] * 4 + [0.05] * 4 + [0.025] * 4 + [0.0125] * 4)


def test_linear_falls_evenly_towards_zero():
    assert rates(TrainConfig(epochs=2, lr=0.8, schedule="linear")) == pytest.approx(
        [0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1]
    )


def test_constant_stays():
    assert set(rates(TrainConfig(epochs=3, lr=0.1, schedule="constant"))) == {0.1}


@pytest.mark.parametrize("schedule", ["cosine", "linear", "step", "constant"])
def test_warm_up_rises_to_the_learning_rate_and_never_above(schedule: str):
    settings = {"step_epochs": 3} if schedule == "step" else {}
    lrs = rates(TrainConfig(epochs=4, lr=0.1, schedule=schedule, warmup_epochs=1.5, **settings))
    assert 0 < lrs[0] < lrs[3] < lrs[5] < 0.1
    assert max(lrs) == pytest.approx(0.1)
    assert lrs.index(max(lrs)) == 6


def test_new_parameters_learn_as_many_times_as_fast_as_they_are_multiplied():
    network = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Linear(3, 1))
    train = TrainConfig(init="imagenet", lr=0.1, head_lr_multiplier=10)
    loaded, new = make_optimizer(network, train, new=("1.weight", "1.bias")).param_groups
    assert [id(p) for p in loaded["params"]] == [id(p) for p in network[0].parameters()]
    assert [id(p) for p in new["params"]] == [id(p) for p in network[1].parameters()]
    assert (loaded["multiplier"], new["multiplier"]) == (1, 10)


def test_layers_learn_the_slower_the_more_layers_are_above_them_and_new_ones_faster():
    network = build(AlexNetConfig(width=1 / 32), 8)
    new = ("output.weight", "output.bias", "trunk.fc.4.weight")
    train = TrainConfig(init="imagenet", head_lr_multiplier=10, layer_decay=0.5)
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    multipliers = {
        names[id(parameter)]: group["multiplier"]
        for group in make_optimizer(network, train, new).param_groups
        for parameter in group["params"]
    }
    above = layers_above(network)
    assert multipliers == {name: 0.5 ** above[name] * (10 if name in new else 1) for name in names.values()}
    assert multipliers["output.bias"] == 10
    assert multipliers["trunk.convolutions.0.weight"] == 0.5**7


def test_a_step_moves_each_layer_at_its_own_learning_rate(run: RunConfig):
    moved = []
    for decay in (1.0, 0.5):
        begun = start(changed(run, layer_decay=decay, momentum=0.0, weight_decay=0.0))
        before = {name: parameter.detach().clone() for name, parameter in begun.state.network.named_parameters()}
        take_step(begun.state, next(begun.batches), begun.randomness, lr=0.1)
        moved.append({n: (p.detach() - before[n]).norm().item() for n, p in begun.state.network.named_parameters()})
    above = layers_above(begun.state.network)
    assert moved[1] == pytest.approx({name: 0.5 ** above[name] * moved[0][name] for name in above}, rel=1e-3)


def test_a_step_of_the_optimizer_is_momentum_with_weight_decay():
    weight = torch.nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        weight.weight.fill_(2.0)
    optimizer = make_optimizer(weight, TrainConfig(lr=0.1, momentum=0.5, weight_decay=0.25))
    velocity, expected = 0.0, 2.0
    for _ in range(3):
        optimizer.zero_grad()
        weight(torch.ones(1, 1)).sum().backward()
        optimizer.step()
        velocity = 0.5 * velocity + (1.0 + 0.25 * expected)
        expected -= 0.1 * velocity
        assert weight.weight.item() == pytest.approx(expected)


def test_a_step_of_adamw_follows_the_paper():
    """Loshchilov and Hutter (2019), algorithm 2: the decay is not a part of the gradient."""
    weight = torch.nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        weight.weight.fill_(2.0)
    train = TrainConfig(
        optimizer="adamw", optimizer_options={"betas": (0.8, 0.9), "eps": 0.1}, lr=0.1, weight_decay=0.25
    )
    optimizer, gradient = make_optimizer(weight, train), torch.full((1, 1), 3.0)
    first, second, expected = 0.0, 0.0, 2.0
    for step in range(1, 4):
        optimizer.zero_grad()
        weight(gradient).sum().backward()
        optimizer.step()
        first, second = 0.8 * first + 0.2 * 3.0, 0.9 * second + 0.1 * 9.0
        scaled = first / (1 - 0.8**step) / ((second / (1 - 0.9**step)) ** 0.5 + 0.1)
        expected -= 0.1 * (scaled + 0.25 * expected)
        assert weight.weight.item() == pytest.approx(expected)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_optimizer_gets_the_settings_of_train_and_its_own_options_and_chooses_no_implementation(name: str):
    options = {"eps": (1e-4, 1e-3)} if name == "Adafactor" else {"nesterov": True} if name == "sgd" else {"eps": 1e-3}
    train = TrainConfig(optimizer=name, optimizer_options=options, lr=0.2, weight_decay=0.125)
    kind, optimizer = OPTIMIZERS[name], make_optimizer(torch.nn.Linear(2, 1), train)
    assert type(optimizer).__name__ == kind.torch_name
    (group,) = optimizer.param_groups
    expected = {**kind.options, **options, "lr": 0.2, "weight_decay": 0.125, "multiplier": 1.0}
    expected |= {"momentum": 0.9} if kind.momentum else {}
    expected |= {"fused": True} if kind.fused else {"foreach": True}
    assert {key: group[key] for key in expected} == expected


@pytest.mark.parametrize(
    ("name", "options"),
    [("adamw", {"betas": [0.9, 1.5]}), ("Adam", {"eps": -1}), ("sgd", {"nesterov": True, "dampening": 0.5})],
)
def test_a_value_that_torch_refuses_is_named_with_its_optimizer(name: str, options: dict[str, object]):
    train = TrainConfig(optimizer=name, optimizer_options=options)
    with pytest.raises(InputError, match=rf"train\.optimizer_options: {name} with .*{next(iter(options))}"):
        check_optimizer(AlexNetConfig(), train)
    check_optimizer(AlexNetConfig(), TrainConfig(optimizer=name))


def test_no_average_is_kept_unless_it_is_asked_for():
    assert make_average(torch.nn.Linear(1, 1), TrainConfig()) is None
