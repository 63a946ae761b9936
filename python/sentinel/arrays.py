"""Token ids and state dicts, from whatever holds them, as numpy arrays. torch is never imported."""

from __future__ import annotations

from typing import Any, List, Mapping, Tuple

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
        if str(tensor.dtype) == "torch.bfloat16":  # numpy has no such type
            tensor = tensor.float()
        return tensor.numpy()
    return np.asarray(tensor)


def state_tensors(state_dict: Mapping[str, Any]) -> List[Tuple[str, str, Any]]:
    """(name, type, C-contiguous array) of each; without copies unless the type must change."""
    names = {"float32": "F32", "float16": "F16", "bfloat16": "BF16"}
    tensors = []
    for name, tensor in state_dict.items():
        array = _to_numpy(tensor)
        if array.dtype == np.float64:
            array = array.astype(np.float32)
        dtype = names.get(array.dtype.name, array.dtype.name)
        if dtype == "BF16":  # the type of the package ml_dtypes
            array = array.view(np.uint16)
        if dtype in ("F32", "F16") and not array.dtype.isnative:
            array = array.astype(array.dtype.newbyteorder("="))
        tensors.append((str(name), dtype, np.ascontiguousarray(array)))
    return tensors
