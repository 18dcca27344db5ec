"""Reading pickled dictionaries of arrays from ``.npy`` files without running the code that a pickle can contain."""

import io
import pickle
import re
from typing import Any

import numpy as np

__all__ = ["read_npy"]


def read_npy(data: bytes) -> Any:
    """The content of a ``.npy`` file: an array, or a pickled object of dicts, lists, tuples, texts and arrays.

    Files from Python 2 are decoded as latin1, which keeps all bytes.

    Raises:
        pickle.UnpicklingError: the pickle contains anything else.
        ValueError: the file is not a ``.npy`` file, or has several objects.
    """
    file = io.BytesIO(data)
    version = np.lib.format.read_magic(file)
    read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read_header(file)
    if not dtype.hasobject:
        return np.load(io.BytesIO(data), allow_pickle=False)
    if shape != ():
        raise ValueError(f"contains an array of {shape} objects; one dictionary is needed")
    return _plain(_Unpickler(file, encoding="latin1").load())[0]


class _Type:
    """Replaces ``numpy.dtype`` in a pickle, because the state of a real one could misdescribe memory."""

    def __init__(self, code: str, *_: Any) -> None:
        if not re.fullmatch(r"[fiub][1248]|O8?", code):
            raise pickle.UnpicklingError(f"contains arrays of {code!r}, not of numbers")
        self.dtype = np.dtype(code[0] if code[0] == "O" else code)

    def __setstate__(self, state: tuple) -> None:
        if state[1] in ("<", ">"):
            self.dtype = self.dtype.newbyteorder(state[1])


class _Array:
    """Replaces ``numpy.ndarray`` in a pickle."""

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
    """An unpickler that allows only arrays and Python's basic types; numpy's old and new module names both work."""

    def find_class(self, module: str, name: str) -> Any:
        allowed: dict[str, Any] = {"numpy.ndarray": _Array, "numpy.dtype": _Type}
        for place in ("numpy.core.multiarray", "numpy._core.multiarray"):
            allowed[f"{place}._reconstruct"] = _Array
        if (full := f"{module}.{name}") not in allowed:
            raise pickle.UnpicklingError(f"uses {full}, which is not an array")
        return allowed[full]


def _plain(value: Any) -> Any:
    """The value with real arrays in place of their replacements."""
    if isinstance(value, _Array):
        return _plain(value.value)
    if isinstance(value, dict):
        return {_plain(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value.decode("latin1") if isinstance(value, bytes) else value
