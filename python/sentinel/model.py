"""The models. An AdaptiveModel locks itself, so threads that share one take turns."""

from __future__ import annotations

import threading
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple, Union

from numpy.typing import NDArray
import numpy as np

from . import _core
from ._core import EvaluationResult, GenerationResult
from .arguments import checked, path_bytes, set_all, usage_error
from .arrays import attention_mask, token_ids

OnToken = Callable[[int, str], Optional[bool]]


class BaselineModel:
    """An opened checkpoint with its tokenizer. Constant; may be shared by threads."""

    def __init__(self, core: _core.BaselineModel) -> None:
        if not isinstance(core, _core.BaselineModel):
            raise usage_error("a BaselineModel is made by load_baseline_model()")
        self._core = core

    def __reduce__(self) -> Any:
        raise usage_error("a model cannot be pickled or copied; load it in each process")

    @property
    def n_layers(self) -> int:
        return self._core.n_layers

    def n_heads(self, layer: int) -> int:
        """Heads present in the layer."""
        with checked(layer=layer):
            return self._core.n_heads(layer)

    @property
    def d_model(self) -> int:
        return self._core.d_model

    @property
    def vocab_size(self) -> int:
        return self._core.vocab_size

    @property
    def context_length(self) -> int:
        return self._core.context_length

    @property
    def parameter_count(self) -> int:
        """A tied output matrix counts once."""
        return self._core.parameter_count

    @property
    def origin(self) -> str:
        """Where the model was found."""
        return self._core.origin

    @property
    def config_json(self) -> str:
        return self._core.config_json

    @property
    def has_tokenizer(self) -> bool:
        return self._core.has_tokenizer

    def encode(self, text: str, parse_special: bool = False) -> NDArray[np.int32]:
        """Token ids. `parse_special`: "<|endoftext|>" is that token, as in transformers."""
        with checked(text=text, parse_special=parse_special):
            return self._core.encode(text, parse_special)

    def decode(self, ids: Any) -> str:
        return self._core.decode(token_ids(ids, (1,)).tolist())

    def prune(
        self,
        heads: float = 0,
        ffn: float = 0,
        strategy: str = "obs",
        *,
        recover: str = "refit",
        min_ridge: float = 1e-4,
        calibration_text: str = "",
        round_to: int = 16,
        seed: int = 0,
        threads: int = 0,
        save_stats: Any = "",
    ) -> BaselineModel:
        """A smaller model: `heads` and `ffn` percent of heads and neurons removed for good.

        The rest is refitted on the calibration text (empty: the bundled one) so that its outputs
        change least; `strategy` and `recover` as `sentinel prune` has them. `min_ridge`: the smallest
        ridge of a refit; 0.01 makes weights that bear 4 bits. `save_stats`: a folder to make for the
        calibration statistics.
        """
        with checked(
            heads=heads, ffn=ffn, strategy=strategy, recover=recover, min_ridge=min_ridge,
            calibration_text=calibration_text, round_to=round_to, seed=seed, threads=threads,
        ):
            core = self._core.prune(
                heads, ffn, strategy, recover, min_ridge, calibration_text, round_to, seed,
                threads, path_bytes(save_stats, "save_stats"),
            )
        return BaselineModel(core)

    def save_pretrained(self, folder: Any, *, dtype: str = "", padded: bool = False) -> None:
        """Writes a folder that load_baseline_model() opens; options as AdaptiveModel's."""
        with checked(dtype=dtype, padded=padded):
            self._core.save_pretrained(path_bytes(folder, "folder"), dtype, padded)

    def __repr__(self) -> str:
        return f"<sentinel.BaselineModel {self.origin}, {self.parameter_count} parameters>"


class AdaptiveModel:
    """A model at one optimisation level, with a state, a gate and a consent for every head.

    Heads are counted from 0 among those present in their layer. Changes take effect at the next
    call. While it computes, the GIL is released.
    """

    def __init__(self, core: _core.AdaptiveModel, baseline: BaselineModel) -> None:
        self._core = core
        self._baseline = baseline
        self._lock = threading.RLock()

    def __reduce__(self) -> Any:
        raise usage_error("a model cannot be pickled or copied; load it in each process")

    @property
    def baseline(self) -> BaselineModel:
        return self._baseline

    @property
    def optimization_level(self) -> int:
        """The level that really runs."""
        return self._core.optimization_level

    @property
    def info(self) -> Dict[str, Any]:
        """What really runs: level, threads, isa, weights, lm_head, kv, agency, integration points,
        sizes in bytes."""
        with self._lock:
            return self._core.info()

    def generate(
        self,
        prompt: Union[str, Sequence[int], Any],
        max_new_tokens: int = 64,
        *,
        temperature: float = 0.8,
        top_k: int = 40,
        top_p: float = 1.0,
        repetition_penalty: float = 1.0,
        seed: Optional[int] = None,
        stop: Union[str, Sequence[str], None] = None,
        ignore_eos: bool = False,
        on_token: Optional[OnToken] = None,
    ) -> GenerationResult:
        """Continues a text or a sequence of token ids; str() of the result is the new text.

        Temperature 0 is greedy. `stop`: texts that end generation and are not shown. `on_token` is
        called with every token and the text that has become safe to show (whole characters, so it
        may be empty); return False to stop. KeyboardInterrupt stops at the next token.
        """
        if prompt is None or isinstance(prompt, (bytes, bytearray)):
            raise usage_error(f"prompt: expected a text or token ids, got {type(prompt).__name__}")
        options = _core.GenerationOptions()
        set_all(
            options,
            max_new_tokens=max_new_tokens, temperature=temperature, top_k=top_k, top_p=top_p,
            repetition_penalty=repetition_penalty, seed=seed, ignore_eos=ignore_eos,
            stop=[stop] if isinstance(stop, str) else stop or (),
        )
        text_or_ids = prompt if isinstance(prompt, str) else token_ids(prompt, (1,))
        with self._lock, checked(on_token=on_token):
            return self._core.generate(text_or_ids, options, on_token)

    def forward(self, ids: Any, attention_mask: Any = None) -> NDArray[np.float32]:
        """Logits of every position.

        ids [length] gives [length, vocab_size]; ids [batch, length] gives [batch, length,
        vocab_size], where `attention_mask` [batch, length] marks padding with 0: it changes no
        other row, and its own logits are 0.
        """
        array = token_ids(ids, (1, 2))
        if array.ndim == 1:
            if attention_mask is not None:
                raise usage_error("attention_mask: only a batch of ids [batch, length] has one")
            with self._lock:
                return self._core.forward(array)
        mask = np.ones(0, np.uint8) if attention_mask is None else _mask(attention_mask, array.shape)
        with self._lock:
            return self._core.forward_batch(array, mask)

    __call__ = forward

    def perplexity(self, text: str) -> float:
        """exp of the mean negative log-likelihood, in windows of the model's context."""
        return self.evaluate(text).perplexity

    def evaluate(
        self,
        text: str,
        *,
        window: int = 0,
        max_windows: int = 0,
        against: Union[AdaptiveModel, BaselineModel, None] = None,
    ) -> EvaluationResult:
        """Perplexity, bits per byte, and with `against` the divergence from that model.

        A BaselineModel runs at level 1, as that of `sentinel eval --against`.
        """
        if isinstance(against, BaselineModel):
            against = _at_level_1(against, self.info["threads"])
        if against is not None and not isinstance(against, AdaptiveModel):
            raise usage_error(f"against: expected a model, got {type(against).__name__}")
        # Two threads that compare the same two models must not take their locks crosswise.
        other = self if against is None else against
        first, second = sorted((self._lock, other._lock), key=id)
        with first, second, checked(text=text, window=window, max_windows=max_windows):
            core = None if against is None else against._core
            return self._core.evaluate(text, window, max_windows, core)

    def set_head_state(
        self, layer_idx: int, head_idx: int, state: str, consent: Optional[bool] = None
    ) -> bool:
        """`state`: active, overloaded, misaligned or withdrawn. False: refused, because it would
        open a head without consent; the refusal is in the report."""
        with self._lock, checked(
            layer_idx=layer_idx, head_idx=head_idx, state=state, consent=consent
        ):
            return self._core.set_head_state(layer_idx, head_idx, state, consent)

    def set_gate(self, layer_idx: int, head_idx: int, gate: float) -> bool:
        """`gate` in [0, 1]. False: refused, as above."""
        with self._lock, checked(layer_idx=layer_idx, head_idx=head_idx, gate=gate):
            return self._core.set_gate(layer_idx, head_idx, gate)

    def set_consent(self, layer_idx: int, head_idx: int, consent: bool) -> None:
        if not isinstance(consent, (bool, np.bool_)):  # None would withdraw it
            raise usage_error(f"consent: expected True or False, got {type(consent).__name__}")
        with self._lock, checked(layer_idx=layer_idx, head_idx=head_idx):
            self._core.set_consent(layer_idx, head_idx, bool(consent))

    def head_status(self, layer_idx: int, head_idx: int) -> Dict[str, Any]:
        """state, gate, consent, utilization, alignment_score, last_signal, removed."""
        with self._lock, checked(layer_idx=layer_idx, head_idx=head_idx):
            return self._core.head_status(layer_idx, head_idx)

    def set_controller(
        self,
        goal: str = "",
        *,
        tokens_per_second: Optional[float] = None,
        max_perplexity_increase: Optional[float] = None,
        text: str = "",
        max_windows: int = 4,
        interval: int = 16,
        margin: float = 0.05,
        max_heads_closed: float = 50,
    ) -> None:
        """From now on generate() closes and opens heads towards a goal.

        `tokens_per_second`: decoding speed to hold. `max_perplexity_increase`: percent that the
        closed heads may cost on `max_windows` windows of `text`, measured at the next generate().
        `goal` "speed" (the default if a speed is given) closes no more than the speed needs,
        "quality" all that the perplexity allows, at most `max_heads_closed` percent. A decision
        falls every `interval` tokens; heads open only above the speed by half of `margin`.
        Withdrawn heads and heads without consent are never touched.
        """
        options = _core.ControllerOptions()
        set_all(
            options,
            goal=goal, text=text, tokens_per_second=tokens_per_second,
            max_perplexity_increase=max_perplexity_increase, max_windows=max_windows,
            interval=interval, margin=margin, max_heads_closed=max_heads_closed,
        )
        with self._lock:
            self._core.set_controller(options)

    def clear_controller(self) -> None:
        """Opens what the controller has closed, and leaves the heads alone from now on."""
        with self._lock:
            self._core.clear_controller()

    def controller_report(self) -> Optional[Dict[str, Any]]:
        """goal, goal_met, heads_closed, measurements and moves with their reasons; None: none set."""
        with self._lock:
            return self._core.controller_report()

    def set_timing(self, on: bool) -> None:
        """Whether generate() times operations for `performance_stats` of the agency report."""
        with self._lock, checked(on=on):
            self._core.set_timing(on)

    def get_agency_report(self) -> Dict[str, Any]:
        """layer_reports {layer: counts by state, violations}, total_violations, num_layers, ..."""
        with self._lock:
            report = self._core.get_agency_report()
        layers = report["layer_reports"]
        report["recent_reports"] = [{"layer": n, **layers[n]} for n in sorted(layers)[-5:]]
        return report

    def get_gate_activity(self) -> Dict[int, List[int]]:
        """{layer: heads with gate > 0.2}."""
        with self._lock:
            return self._core.get_gate_activity()

    def prune(
        self,
        percent: int,
        strategy: str = "magnitude",
        *,
        calibration_text: str = "",
        seed: int = 0,
    ) -> List[Tuple[int, int]]:
        """Closes floor(heads * percent / 100) heads, those that the strategy (as ``sentinel
        profile --strategy``; all but random and magnitude need a calibration text) ranks lowest;
        returns them as (layer, head)."""
        with self._lock, checked(
            percent=percent, strategy=strategy, calibration_text=calibration_text, seed=seed
        ):
            return self._core.prune(percent, strategy, calibration_text, seed)

    def save_pretrained(self, folder: Any, *, dtype: str = "", padded: bool = False) -> None:
        """Writes a checkpoint that computes what this model computes as its heads are set.

        Closed heads are left out; `padded` keeps the shape of the unpruned model, with zeros, so
        that every GPT-2 reader opens it. `dtype`: f32, f16, bf16, int8 (which Sentinel
        alone reads), or as the model is stored.
        """
        with self._lock, checked(dtype=dtype, padded=padded):
            self._core.save_pretrained(path_bytes(folder, "folder"), dtype, padded)

    def __repr__(self) -> str:
        info = self.info
        return (
            f"<sentinel.AdaptiveModel level {info['optimization_level']}, {info['weights']} weights,"
            f" {info['isa']}, {info['heads_active']} of {info['heads']} heads contribute>"
        )


def _at_level_1(baseline: BaselineModel, threads: int) -> AdaptiveModel:
    options = _core.AdaptiveOptions()
    options.optimization_level, options.threads = 1, threads
    return AdaptiveModel(_core.load_adaptive_model(baseline._core, options, None), baseline)


_mask = attention_mask  # the parameter of that name hides it
