"""Plans know the inputs of backbones from the configuration of their weights, and refuse what cannot be used."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from emotune.config.backbone import BackboneCode, BackboneConfig, LastStages
from emotune.config.input_spec import InputOptions, InputSpec
from emotune.config.model import AlexNetConfig, CodeConfig, ModelConfig
from emotune.config.normalisation import IMAGENET
from emotune.config.train import TrainConfig
from emotune.core.cache_dir import cache_folder
from emotune.core.errors import InputError
from emotune.models.backbones import catalogue
from emotune.models.backbones.catalogue import backbone_info, resolve_inputs

HALF = (0.5, 0.5, 0.5)
RESNET, LITE = "torchvision:resnet18", "timm:tf_efficientnet_lite0"


def resolved(**models: ModelConfig) -> dict[str, InputSpec]:
    return resolve_inputs({name: (model, TrainConfig()) for name, model in models.items()})


def test_inputs_are_those_of_the_weights_changed_by_the_study():
    code = "def trunk():\n    pass\n"
    found = resolved(
        resnet=BackboneConfig(backbone=RESNET),
        small=BackboneConfig(backbone=RESNET, input=InputOptions(side=112, mean=HALF)),
        lite=BackboneConfig(backbone=LITE),
        own=BackboneConfig(backbone=BackboneCode(code="nets.py:trunk", source=code)),
        code=CodeConfig(code="nets.py:trunk", source="def trunk(classes):\n    pass\n", input=InputOptions(side=160)),
        alexnet=AlexNetConfig(),
    )
    resnet = InputSpec(side=224, resize=256, interpolation="bilinear")
    assert found == {
        "resnet": resnet,
        "small": InputSpec(side=112, resize=128, interpolation="bilinear", mean=HALF, std=IMAGENET.std),
        "lite": InputSpec(side=224, resize=256, interpolation="bicubic", mean=HALF, std=HALF),
        "own": InputSpec(side=224, resize=256),
        "code": InputSpec(side=160, resize=180),
    }


def test_several_crops_need_an_image_that_is_larger_than_they_are():
    exact, five = InputOptions(side=112, resize=112), TrainConfig(test_crops=5)
    with pytest.raises(InputError, match=r"variants\.exact: train\.test_crops: .*112"):
        resolve_inputs({"exact": (BackboneConfig(backbone=RESNET, input=exact), five)})
    resolve_inputs({"larger": (BackboneConfig(backbone=RESNET), five), "alexnet": (AlexNetConfig(), five)})


def test_torchvisions_own_weights_are_known_by_the_digest_in_their_name():
    info = backbone_info(RESNET)
    assert (info.stages, info.weights_digest) == (5, "f37072fd")
    assert info.weights_url.endswith("resnet18-f37072fd.pth")


def test_a_description_is_looked_up_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    first = backbone_info(RESNET)
    monkeypatch.setattr(catalogue.subprocess, "run", None)
    assert backbone_info(RESNET) == first
    copies = Path(shutil.copytree(cache_folder() / "backbones", tmp_path / "backbones"))
    monkeypatch.setenv("EMOTUNE_CACHE", str(tmp_path))
    assert backbone_info(RESNET) == first
    for file in copies.iterdir():
        file.write_text("{")  # damaged: it is looked up again
    with pytest.raises(TypeError):
        backbone_info(RESNET)


def test_each_variant_whose_backbone_cannot_be_used_has_a_line():
    with pytest.raises(InputError) as caught:
        resolved(
            good=BackboneConfig(backbone=RESNET),
            misspelt=BackboneConfig(backbone="torchvision:resnet81"),
            unknown=BackboneConfig(backbone="timm:tf_eficientnet_lite0"),
            untagged=BackboneConfig(backbone="timm:resnet18.a1_im1k"),
            auxiliary=BackboneConfig(backbone="torchvision:googlenet"),
            deep=BackboneConfig(backbone=RESNET, tune=LastStages(last=6)),
            large=BackboneConfig(backbone=RESNET, input=InputOptions(resize=100)),
        )
    lines = dict(line.removeprefix("variants.").split(": ", 1) for line in str(caught.value).splitlines())
    named = {
        "misspelt": "resnet18", "unknown": '"tf_efficientnet_lite0"', "untagged": '"a1_in1k"', "auxiliary": "googlenet",
        "deep": "5 stages", "large": "100",
    }  # fmt: skip
    assert lines.keys() == named.keys()
    assert all(part in lines[variant] for variant, part in named.items()), lines


def test_a_library_that_is_missing_is_named_with_the_way_to_install_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(catalogue, "_version", lambda library: None)
    with pytest.raises(InputError, match=r"pip install 'emotune\[timm\]'"):
        backbone_info(LITE)


def test_planning_a_backbone_imports_no_torch():
    backbone_info(RESNET)
    code = f"""
import sys
from emotune.config.backbone import BackboneConfig
from emotune.config.train import TrainConfig
from emotune.models.backbones.catalogue import resolve_inputs
resolve_inputs({{"one": (BackboneConfig(backbone="{RESNET}"), TrainConfig())}})
assert not sys.modules.keys() & {{"torch", "torchvision", "timm"}}
"""
    subprocess.run([sys.executable, "-c", code], check=True)
