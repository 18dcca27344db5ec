"""Dictionaries of arrays that ``numpy.save`` pickled, read without running what a pickle may ask for."""

import io
import pickle
import re
from typing import Any

import numpy as np

__all__ = ["read_npy"]


def read_npy(data: bytes) -> Any:
    """What a ``.npy`` file holds: an array; or, of a pickled object, its dicts, lists, tuples, texts and arrays.

    Python 2's files are read as latin1, so that their bytes come back as they were.

    Raises:
        pickle.UnpicklingError: the pickle asks for anything else.
        ValueError: it is no such file.
    """
    file = io.BytesIO(data)
    version = np.lib.format.read_magic(file)
    read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read_header(file)
    if not dtype.hasobject:
        return np.load(io.BytesIO(data), allow_pickle=False)
    if shape != ():
        raise ValueError(f"an array of {shape} objects; one dictionary is needed")
    return _plain(_Unpickler(file, encoding="latin1").load())[0]


class _Type:
    """Stands for ``numpy.dtype`` in a pickle, whose own state could lie about what lies in memory."""

    def __init__(self, code: str, *_: Any) -> None:
        if not re.fullmatch(r"[fiub][1248]|O8?", code):
            raise pickle.UnpicklingError(f"holds arrays of {code!r}, not of numbers")
        self.dtype = np.dtype(code[0] if code[0] == "O" else code)

    def __setstate__(self, state: tuple) -> None:
        if state[1] in ("<", ">"):
            self.dtype = self.dtype.newbyteorder(state[1])


class _Array:
    """Stands for ``numpy.ndarray`` in a pickle."""

    value: Any = None

    def __init__(self, *_: Any) -> None:
        pass

    def __setstate__(self, state: tuple) -> None:
        _, shape, kind, in_columns, data = state
        if kind.dtype.hasobject:
            self.value = list(data)
        else:
            raw = data.encode("latin1") if isinstance(data, str) else data
            self.value = np.frombuffer(raw, kind.dtype).reshape(shape, order="F" if in_columns else "C")


class _Unpickler(pickle.Unpickler):
    """Knows arrays and what is built into pickles; of two names that numpy's modules have had, both."""

    def find_class(self, module: str, name: str) -> Any:
        known: dict[str, Any] = {"numpy.ndarray": _Array, "numpy.dtype": _Type}
        for place in ("numpy.core.multiarray", "numpy._core.multiarray"):
            known[f"{place}._reconstruct"] = _Array
        if (full := f"{module}.{name}") not in known:
            raise pickle.UnpicklingError(f"asks for {full}, which is no array")
        return known[full]


def _plain(value: Any) -> Any:
    """The value with arrays in place of what stood for them."""
    if isinstance(value, _Array):
        return _plain(value.value)
    if isinstance(value, dict):
        return {_plain(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value.decode("latin1") if isinstance(value, bytes) else value
