"""What `sentinel profile` and `sentinel bench` measure, from a program.

Both run with the GIL released. What `on_progress` raises, and KeyboardInterrupt, stop them soon; the
exception then carries what was measured until then as its attribute `result`.
"""

from __future__ import annotations

import os
from typing import Any, Callable, Dict, List, Optional, Sequence, Union

from . import _core
from ._core import BenchmarkProgress, BenchmarkResult, ProfilingProgress, ProfilingResult
from .arguments import path_bytes, set_all, usage_error
from .loading import load_baseline_model
from .model import AdaptiveModel, BaselineModel

Numbers = Union[int, Sequence[int]]


def profile(
    model_name: Any = None,
    *,
    optimization_level: Optional[int] = None,
    threads: Optional[int] = None,
    isa: str = "",
    weights: str = "",
    lm_head: str = "",
    kv: str = "",
    agency: str = "",
    pruning_levels: Union[str, Numbers] = (0, 30, 50, 70),
    strategy: str = "output",
    recover: str = "none",
    profile_mode: str = "basic",
    test_all_optimization_levels: bool = False,
    test_integration_points: bool = False,
    disable_baseline: bool = False,
    disable_unet: bool = False,
    cpu_specific_optimizations: bool = False,
    memory_profile: bool = False,
    compare_models: Union[str, Sequence[str]] = (),
    model_family: str = "",
    sequence_length: int = 64,
    generated_tokens: int = 20,
    batch_size: int = 1,
    iterations: int = 5,
    warmup: int = 2,
    temperature: float = 0.0,
    seed: int = 0,
    custom_prompts: Any = "",
    text: Any = "",
    calibration: Any = "",
    max_eval_windows: int = 8,
    max_footprint_mb: float = 512.0,
    output_dir: Any = "profiling_results/full_model",
    output_prefix: str = "",
    visualize: bool = False,
    export_csv: bool = False,
    trace_export: bool = False,
    save_generated_text: bool = False,
    compare_with_previous: bool = False,
    on_progress: Optional[Callable[[ProfilingProgress], object]] = None,
) -> ProfilingResult:
    """Measures speed and quality against the share of heads that is left out. Takes minutes.

    Everything is named as the flags of `sentinel profile` (docs/profiling.md). `model_name`: a
    folder, a file in it, or a hub name; None: the bundled model. `custom_prompts`, `text` and
    `calibration` are files. The result is `.data` (docs/result_schema.json), also as text in
    `.json` and as a file in `.run_folder`; `.report`, or str() of it, is what the command prints.

    `on_progress(progress)` sees `stage`, `done`, `total`, `detail` and `notice`. After
    KeyboardInterrupt, resume_profile(error.result.run_folder) goes on.
    """
    arguments = dict(locals())
    del arguments["on_progress"]
    return _core.profile(_profiling_options(arguments), on_progress)


def _profiling_options(arguments: Dict[str, Any]) -> _core.ProfilingOptions:
    """From what profile() was given."""
    arguments["model_name"] = _model_name(arguments["model_name"])
    arguments["threads"] = 0 if arguments["threads"] is None else arguments["threads"]
    arguments["pruning_levels"] = _numbers("pruning_levels", arguments["pruning_levels"])
    arguments["compare_models"] = _names(arguments["compare_models"])
    for name in ("custom_prompts", "text", "calibration", "output_dir"):
        arguments[name] = path_bytes(arguments[name], name)
    options = _core.ProfilingOptions()
    set_all(options, **arguments)
    return options


def resume_profile(
    run_folder: Any, *, on_progress: Optional[Callable[[ProfilingProgress], object]] = None
) -> ProfilingResult:
    """Measures what an interrupted run lacks, with its own settings, into its own folder."""
    return _core.resume_profile(path_bytes(run_folder, "run_folder"), on_progress)


def benchmark(
    model: Any = None,
    *,
    n_prompt: Numbers = (),
    n_gen: Numbers = (),
    n_depth: Numbers = 0,
    batch: Numbers = 1,
    threads: Numbers = (),
    heads_closed: Numbers = 0,
    heads_removed: Numbers = (),
    agency: Union[str, Sequence[str]] = (),
    optimization_level: Optional[int] = None,
    isa: str = "",
    weights: str = "",
    lm_head: str = "",
    kv: str = "",
    repetitions: int = 5,
    warmup: int = 1,
    seed: int = 0,
    on_progress: Optional[Callable[[BenchmarkProgress], object]] = None,
) -> BenchmarkResult:
    """Prefill and decode speed, percentiles, bytes per token, and the share of the machine's limit.

    `model`: a BaselineModel or whatever load_baseline_model() takes; None: the bundled model. A
    number or a sequence of them: every combination is a row. `n_prompt` and `n_gen` are tokens of
    prefill and decode tests (empty: 512 and 128, or what the context allows; 0: none), `heads_closed`
    percent of heads that are switched off, `heads_removed` that are left out of memory.

    `result.rows` is a list of dicts with the keys of `sentinel bench --json` (`avg_ts`: tokens per
    second of all sequences together). `on_progress(progress)` sees `done`, `total` and `test`.
    """
    arguments = dict(locals())
    del arguments["model"], arguments["on_progress"]
    lists = ("n_prompt", "n_gen", "n_depth", "batch", "threads", "heads_closed", "heads_removed")
    for name in lists:
        arguments[name] = _numbers(name, arguments[name])
    arguments["agency"] = _names(agency)
    options = _core.BenchmarkOptions()
    set_all(options, **arguments)
    if not isinstance(model, BaselineModel):
        model = load_baseline_model(_core.bundled_model() if model is None else model)
    return _core.benchmark(model._core, options, on_progress)


def _model_name(model: Any) -> Union[str, bytes]:
    if model is None:
        return ""
    if isinstance(model, (BaselineModel, AdaptiveModel)) or hasattr(model, "state_dict"):
        raise usage_error(
            "model_name: profile opens the model itself, so that its run can be repeated; give a "
            "folder or a hub name (save_pretrained() makes a folder)"
        )
    return path_bytes(model, "model_name")


def _numbers(name: str, value: Union[str, Numbers]) -> List[int]:
    if isinstance(value, str):
        value = [_number(name, part) for part in value.split(",")]
    elif hasattr(value, "__index__"):
        value = [value.__index__()]
    return list(value)


def _number(name: str, text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise usage_error(f'{name}: "{text.strip()}" is not a whole number') from None


def _names(value: Union[str, Sequence[str]]) -> List[str]:
    if isinstance(value, str):
        return [name.strip() for name in value.split(",")] if value else []
    return [os.fsdecode(name) for name in value]
