"""Shared by the tests: the bundled model and its reference numbers. Run with BUILD/python in
PYTHONPATH; ctest does."""

import json
from pathlib import Path

import numpy as np

import sentinel

ROOT = Path(__file__).resolve().parent.parent.parent
MINI = ROOT / "models" / "sentinel-mini"
REFERENCE = json.loads((MINI / "reference.json").read_text("utf-8"))
VALIDATION = (ROOT / "texts" / "validation.txt").read_bytes().decode("utf-8")


def read_safetensors(path):
    """{name: array}; the arrays share the file's bytes."""
    data = path.read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:start])
    header.pop("__metadata__", None)
    types = {"F32": "<f4", "F16": "<f2"}
    tensors = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        array = np.frombuffer(data[start + begin : start + end], types[entry["dtype"]])
        tensors[name] = array.reshape(entry["shape"])
    return tensors


def load(level=1, **options):
    return sentinel.load_adaptive_model(
        baseline_model=sentinel.load_baseline_model(MINI), optimization_level=level, **options
    )
