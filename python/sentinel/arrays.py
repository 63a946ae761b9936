"""Token ids and state dicts, from whatever holds them, as numpy arrays. torch is never imported."""

from __future__ import annotations

import sys
from typing import Any, Dict, List, Mapping, Tuple

import numpy as np
from numpy.typing import NDArray

from .arguments import usage_error


def token_ids(ids: Any, dimensions: Tuple[int, ...]) -> NDArray[np.int32]:
    """`ids` (list, numpy array, tensor) as int32; shared with the caller where possible."""
    try:
        array = np.asarray(ids)
    except ValueError as error:
        raise usage_error(f"ids: not a rectangular array of integers: {error}") from None
    if array.ndim == 0:
        raise usage_error(f"ids: expected a sequence of token ids, got {type(ids).__name__}")
    if array.ndim not in dimensions:
        expected = " or ".join(str(n) for n in dimensions)
        raise usage_error(f"ids: {array.ndim} dimensions given, expected {expected}")
    if array.size == 0:
        return np.zeros(array.shape, np.int32)
    if array.dtype.kind not in "iu":
        raise usage_error(f"ids: expected integers, got {array.dtype}")
    if int(array.min()) < 0 or int(array.max()) > 2**31 - 1:
        raise usage_error("ids: a token id is negative or beyond any vocabulary")
    return np.ascontiguousarray(array, np.int32)


def attention_mask(mask: Any, shape: Tuple[int, ...]) -> NDArray[np.uint8]:
    array = np.asarray(mask)
    if array.shape != shape:
        raise usage_error(f"attention_mask: shape {array.shape} given, expected {shape}")
    return np.ascontiguousarray(array != 0, np.uint8)


def _to_numpy(tensor: Any) -> Any:
    """A tensor of torch (detached, on the CPU) or anything that numpy understands."""
    if hasattr(tensor, "detach"):
        tensor = tensor.detach().cpu()
        if _is_torch_bfloat16(tensor):  # numpy has no such type: its bits
            tensor = tensor.contiguous().view(sys.modules["torch"].int16)
        return tensor.numpy()
    return np.asarray(tensor)


def _is_torch_bfloat16(tensor: Any) -> bool:
    return str(getattr(tensor, "dtype", "")) == "torch.bfloat16"


def _place(tensor: Any, array: NDArray[Any]) -> Tuple[Any, ...]:
    """Equal for tied tensors, while all of them live."""
    pointer = tensor.data_ptr() if hasattr(tensor, "data_ptr") else array.ctypes.data
    return pointer, array.shape, array.strides, array.dtype.str


def state_tensors(state_dict: Mapping[str, Any]) -> List[Tuple[str, str, Any]]:
    """(name, type, C-contiguous array) of each; without copies unless type or layout must change,
    and then one for tensors that are tied."""
    tensors = []
    sources = []  # alive, so that a place is that of one tensor
    seen: Dict[Tuple[Any, ...], Tuple[str, Any]] = {}
    for name, tensor in state_dict.items():
        array = _to_numpy(tensor)
        sources.append((tensor, array))
        place = _place(tensor, array)
        if place not in seen:
            seen[place] = _readable(array, _is_torch_bfloat16(tensor))
        tensors.append((str(name), *seen[place]))
    return tensors


def _readable(array: Any, bfloat16_bits: bool) -> Tuple[str, Any]:
    names = {"float32": "F32", "float16": "F16", "bfloat16": "BF16"}
    if array.dtype == np.float64:
        array = array.astype(np.float32)
    dtype = "BF16" if bfloat16_bits else names.get(array.dtype.name, array.dtype.name)
    if dtype == "BF16":
        array = array.view(np.uint16)  # of the package ml_dtypes, or torch's bits
    if dtype in ("F32", "F16") and not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    return dtype, np.ascontiguousarray(array)
