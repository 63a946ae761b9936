"""Sentinel: make pretrained transformers smaller and faster, and say what it cost.

    import sentinel
    baseline = sentinel.load_baseline_model("models/sentinel-mini")
    model = sentinel.load_adaptive_model(baseline_model=baseline, optimization_level=2)
    print(model.generate("Once upon a time", max_new_tokens=32))

`profile` and `benchmark` measure what a model costs and gives on this machine.

Errors are `sentinel.Error`; its `kind` is "usage", "bad_input", "runtime" or "interrupted", its
text the line that the command line would print.
"""

from ._core import (
    BenchmarkProgress,
    BenchmarkResult,
    Error,
    EvaluationDivergence,
    EvaluationResult,
    GenerationResult,
    GenerationTimings,
    ProfilingProgress,
    ProfilingResult,
    VerificationDrafter,
    VerificationReport,
    build_info,
    bundled_model,
    bundled_text,
)
from .loading import load_adaptive_model, load_baseline_model
from .measuring import benchmark, profile, resume_profile
from .model import AdaptiveModel, BaselineModel

__version__ = build_info()["version"]

__all__ = [
    "AdaptiveModel",
    "BaselineModel",
    "BenchmarkProgress",
    "BenchmarkResult",
    "Error",
    "EvaluationDivergence",
    "EvaluationResult",
    "GenerationResult",
    "GenerationTimings",
    "ProfilingProgress",
    "ProfilingResult",
    "VerificationDrafter",
    "VerificationReport",
    "benchmark",
    "build_info",
    "bundled_model",
    "bundled_text",
    "load_adaptive_model",
    "load_baseline_model",
    "profile",
    "resume_profile",
]
