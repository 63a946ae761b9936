"""Opening checkpoints, and packing them for an optimisation level."""

from __future__ import annotations

import json
import tempfile
from typing import Any, Dict, Mapping, Optional

from . import _core
from .arguments import path_bytes, set_all, usage_error
from .arrays import state_tensors
from .model import AdaptiveModel, BaselineModel


def load_baseline_model(
    model_name: Any = None,
    device: str = "cpu",
    *,
    state_dict: Optional[Mapping[str, Any]] = None,
    config: Any = None,
    tokenizer: Any = None,
) -> BaselineModel:
    """Opens a model: nothing is computed or copied, files are mapped into memory.

    `model_name`: a folder, a file in it, a hub name that is in the local Hugging Face cache, or a
    transformers GPT2LMHeadModel. Instead of it, `state_dict` (numpy arrays or torch tensors by
    GPT2LMHeadModel's names) with `config` (a mapping, JSON text, or a transformers configuration).
    Arrays and tensors are used where they lie: do not change them while the model is in use.

    `tokenizer`: a folder, a hub name, or a transformers tokenizer; needed where the model brings
    none. Without any, the model works on token ids.
    """
    _check_device(device)
    if model_name is not None and state_dict is not None:
        raise usage_error("give a model or a state_dict, not both")
    if hasattr(model_name, "state_dict"):
        state_dict = model_name.state_dict()
        config = config if config is not None else model_name.config
        if tokenizer is None:
            tokenizer = _tokenizer_beside(config)
    if state_dict is not None:
        return _from_state_dict(state_dict, config, tokenizer)
    if model_name is None:
        raise usage_error("give a model: a folder, a hub name, or a GPT2LMHeadModel")
    if tokenizer is not None or config is not None:
        raise usage_error("config and tokenizer belong to a state_dict; a folder brings its own")
    return BaselineModel(_core.load_baseline_model(path_bytes(model_name, "model_name")))


def load_adaptive_model(
    model_name: Any = None,
    baseline_model: Any = None,
    device: str = "cpu",
    debug: bool = False,
    quiet: bool = True,
    *,
    optimization_level: Optional[int] = None,
    threads: Optional[int] = None,
    isa: str = "",
    weights: str = "",
    lm_head: str = "",
    kv: str = "",
    agency: str = "",
    overload_threshold: float = 0.85,
    alignment_threshold: float = 0.6,
    recovery_period: int = 100,
    kv_return: str = "exact",
    protect_first: bool = False,
    head_means: Any = "",
    baseline_integration: str = "off",
    integration_baseline: Any = "",
    draft_weights: str = "",
    draft_length: int = 0,
    draft_ngrams: bool = True,
    unet: str = "off",
) -> AdaptiveModel:
    """Packs a model's weights for one optimisation level.

    `baseline_model` (or `model_name`): a BaselineModel, or whatever load_baseline_model() takes.
    `optimization_level`: 0 to 3; None: the environment's OPTIMIZATION_LEVEL, else 1. What is empty
    follows from the level; `model.info` says what really runs. `agency`: off, track, or auto,
    where heads change state by the thresholds; empty: track, at level 3 off. `kv_return`: exact,
    or hole, where a head never sees the positions that it missed while it was off. `protect_first`:
    position 0 is computed with every head. `head_means`: a folder of statistics
    (`BaselineModel.prune(save_stats=...)`); closed heads then leave their mean output behind.

    `baseline_integration`: off, mix or verify, with `integration_baseline` the dense model (a
    BaselineModel, folder or name; verify alone can do without: the same model with all heads
    open). verify: this model
    drafts, the dense one decides; text, logits and perplexity are the dense model's, heads steer
    what is drafted, in `draft_weights`, `draft_length` tokens (0: what pays), and where
    `draft_ngrams` from repetitions in the text. mix, and `unet` (off or on), need the weights that
    `sentinel prune --fit_integration` saves beside a pruned model.

    `debug` and `quiet` are for programs written for Sentinel's predecessor: this module never prints.
    """
    arguments = dict(locals())
    for name in ("model_name", "baseline_model", "device", "debug", "quiet"):
        del arguments[name]
    _check_device(device)
    source = baseline_model if baseline_model is not None else model_name
    baseline = source if isinstance(source, BaselineModel) else load_baseline_model(source)
    dense = None
    if isinstance(integration_baseline, BaselineModel):
        dense, arguments["integration_baseline"] = integration_baseline._core, ""
    options = _adaptive_options(arguments)
    return AdaptiveModel(_core.load_adaptive_model(baseline._core, options, dense), baseline)


def _adaptive_options(arguments: Dict[str, Any]) -> _core.AdaptiveOptions:
    """From what load_adaptive_model() was given beside models and device."""
    options = _core.AdaptiveOptions()
    thresholds = ("overload_threshold", "alignment_threshold", "recovery_period")
    set_all(options.agency_options, **{name: arguments.pop(name) for name in thresholds})
    arguments["optimization_level"] = _integer(
        "optimization_level", arguments["optimization_level"]
    )
    for name in ("threads", "draft_length"):
        arguments[name] = _integer(name, arguments[name]) or 0
    for name in ("head_means", "integration_baseline"):
        arguments[name] = path_bytes(arguments[name], name)
    set_all(options, **arguments)
    return options


def _check_device(device: str) -> None:
    if str(device) != "cpu":
        raise usage_error(f'device: "{device}" is not supported; the only one is cpu')


def _integer(name: str, value: Optional[int]) -> Optional[int]:
    if value is None:
        return None
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise usage_error(f"{name}: expected a whole number, got {value!r}")
    number = value.__index__()
    if abs(number) >= 2**31:
        raise usage_error(f"{name}: {number} is out of range")
    return number


def _config_text(config: Any) -> str:
    if config is None:
        raise usage_error("config: a state_dict needs the model's configuration")
    if isinstance(config, str):
        return config
    if hasattr(config, "to_dict"):
        config = config.to_dict()
    if not isinstance(config, Mapping):
        raise usage_error(f"config: expected a mapping or JSON text, got {type(config).__name__}")
    return json.dumps(dict(config), default=_plain)


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else str(value)


def _from_state_dict(state_dict: Mapping[str, Any], config: Any, tokenizer: Any) -> BaselineModel:
    text = _config_text(config)
    tensors = state_tensors(state_dict)
    if hasattr(tokenizer, "save_pretrained"):
        with tempfile.TemporaryDirectory() as folder:
            tokenizer.save_pretrained(folder)
            return BaselineModel(_core.load_state_dict(text, tensors, folder))
    files = b"" if tokenizer is None else path_bytes(tokenizer, "tokenizer")
    return BaselineModel(_core.load_state_dict(text, tensors, files))


def _tokenizer_beside(config: Any) -> Optional[str]:
    """Where the model came from, if its tokenizer is still there."""
    name = getattr(config, "_name_or_path", None) or getattr(config, "name_or_path", None)
    if not isinstance(name, str) or not name:
        return None
    return name if _core.finds_tokenizer(name) else None
