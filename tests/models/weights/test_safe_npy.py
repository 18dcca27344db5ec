"""Pickled arrays are read, and nothing that a pickle asks for is run."""

import io
import pickle
from pathlib import Path

import numpy as np
import pytest

from emotune.models.weights.safe_npy import read_npy

HEADER = b"{'descr': '|O', 'fortran_order': False, 'shape': (), }".ljust(117) + b"\n"
HEAD = b"\x93NUMPY\x01\x00" + len(HEADER).to_bytes(2, "little") + HEADER


def _py2(value: object) -> bytes:  # noqa: PLR0911
    """Pickle's opcodes of protocol 2 as Python 2 writes them: its strings are bytes."""
    if isinstance(value, str | bytes):
        raw = value.encode() if isinstance(value, str) else value
        return b"T" + len(raw).to_bytes(4, "little") + raw
    if isinstance(value, bool):
        return b"\x88" if value else b"\x89"
    if value is None:
        return b"N"
    if isinstance(value, int):
        return b"J" + value.to_bytes(4, "little", signed=True)
    if isinstance(value, tuple):
        return b"(" + b"".join(map(_py2, value)) + b"t"
    if isinstance(value, list):
        return b"](" + b"".join(map(_py2, value)) + b"e"
    if isinstance(value, dict):
        return b"}(" + b"".join(_py2(k) + _py2(v) for k, v in value.items()) + b"u"
    assert isinstance(value, np.ndarray)
    code, order = ("O8", "|") if value.dtype.hasobject else ("f4", "<")
    flags = 63 if value.dtype.hasobject else 0
    kind = b"cnumpy\ndtype\n" + _py2((code, 0, 1)) + b"R" + _py2((3, order, None, None, None, -1, -1, flags)) + b"b"
    data = value.ravel().tolist() if value.dtype.hasobject else value.tobytes()
    head = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n" + _py2((0,)) + _py2("b") + b"tR"
    return head + b"(" + _py2(1) + _py2(value.shape) + kind + _py2(False) + _py2(data) + b"tb"


def saved(value: object) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, value, allow_pickle=True)
    return buffer.getvalue()


def layers() -> dict[str, object]:
    weight = np.random.default_rng(0).normal(size=(3, 2, 5)).astype(np.float32)
    return {"conv1": [weight, weight[0, 0]], "fc6": {"weights": weight, "biases": weight[0, 0]}}


def assert_layers(found: dict[str, object]) -> None:
    expected = layers()
    assert found.keys() == expected.keys()
    for one, other in zip(found["conv1"], expected["conv1"], strict=True):
        np.testing.assert_array_equal(one, other)
    for part in ("weights", "biases"):
        np.testing.assert_array_equal(found["fc6"][part], expected["fc6"][part])


def test_a_file_that_numpy_saved_is_read():
    assert_layers(read_npy(saved(np.array(layers(), dtype=object))))


def test_a_file_that_python_2_pickled_is_read_as_numpy_reads_it():
    data = HEAD + b"\x80\x02" + _py2(np.array(layers(), dtype=object)) + b"."
    assert_layers(np.load(io.BytesIO(data), allow_pickle=True, encoding="latin1").item())
    assert_layers(read_npy(data))


def test_arrays_of_other_orders_come_back_as_they_were():
    turned = np.asfortranarray(layers()["conv1"][0].astype(">f8"))
    np.testing.assert_array_equal(read_npy(saved(np.array({"x": turned}, dtype=object)))["x"], turned)
    np.testing.assert_array_equal(read_npy(saved(turned)), turned)


@pytest.mark.parametrize("call", ["os.system", "builtins.eval", "numpy.load", "numpy.core.multiarray.scalar"])
def test_a_pickle_that_asks_for_anything_but_arrays_is_refused_and_does_nothing(call: str, tmp_path: Path):
    module, _, name = call.rpartition(".")
    trace = tmp_path / "trace"
    with pytest.raises(pickle.UnpicklingError, match=call):
        read_npy(HEAD + f"c{module}\n{name}\n(Vtouch {trace}\ntR.".encode())
    assert not trace.exists()


def test_a_pickled_type_that_is_not_a_number_is_refused():
    with pytest.raises(pickle.UnpicklingError, match="V8"):
        read_npy(saved(np.array({"conv1": np.zeros(3, "V8")}, dtype=object)))


def test_a_file_without_a_single_dictionary_is_refused():
    with pytest.raises(ValueError, match=r"\(2,\)"):
        read_npy(saved(np.array([{}, {}], dtype=object)))
    with pytest.raises(ValueError, match="magic"):
        read_npy(b"no file of numpy's")
