#!/usr/bin/env python3
"""Perplexity of a GPT-2 checkpoint folder, computed with numpy and nothing of Sentinel.

An independent implementation (tokenizer, forward pass, windows) to check Sentinel against. It reads
what Sentinel writes: dense and padded folders, and compact ones (`pruned_heads` as transformers 4
wrote it, `sentinel.ffn_dims`).

Usage: reference_eval.py MODEL_FOLDER TEXT_FILE [--window N] [--max_windows N]
Prints one JSON document: perplexity, nll_mean, tokens_scored, window.
"""

import argparse
import json
import re
from pathlib import Path

import numpy as np

# GPT-2's pre-tokenizer; Python's re has no \p{L}: a word character that is no digit or underscore.
PIECES = re.compile(
    r"'s|'t|'re|'ve|'m|'ll|'d| ?[^\W\d_]+| ?\d+| ?(?:[^\s\w]|_)+|\s+(?!\S)|\s+")


def byte_alphabet():
    """The printable character that stands for each byte in vocab.json."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    table, spare = {}, 256
    for byte in range(256):
        if byte in printable:
            table[byte] = chr(byte)
        else:
            table[byte] = chr(spare)
            spare += 1
    return table


class Tokenizer:
    def __init__(self, folder):
        self.ids = json.loads((folder / "vocab.json").read_text("utf-8"))
        merges = (folder / "merges.txt").read_text("utf-8").split("\n")
        pairs = [tuple(line.split(" ")) for line in merges if line and not line.startswith("#version")]
        self.rank = {pair: i for i, pair in enumerate(pairs)}
        self.alphabet = byte_alphabet()
        self.cache = {}

    def piece(self, text):
        if text not in self.cache:
            parts = [self.alphabet[b] for b in text.encode("utf-8")]
            while len(parts) > 1:
                best = min(zip(parts, parts[1:]), key=lambda p: self.rank.get(p, 1 << 60))
                if best not in self.rank:
                    break
                merged, i = [], 0
                while i < len(parts):
                    if i + 1 < len(parts) and (parts[i], parts[i + 1]) == best:
                        merged.append(parts[i] + parts[i + 1])
                        i += 2
                    else:
                        merged.append(parts[i])
                        i += 1
                parts = merged
            self.cache[text] = [self.ids[p] for p in parts]
        return self.cache[text]

    def encode(self, text):
        return [i for piece in PIECES.findall(text) for i in self.piece(piece)]


def read_safetensors(path):
    raw = path.read_bytes()
    length = int.from_bytes(raw[:8], "little")
    tensors = {}
    for name, entry in json.loads(raw[8:8 + length]).items():
        if name == "__metadata__":
            continue
        begin, end = entry["data_offsets"]
        data = raw[8 + length + begin:8 + length + end]
        if entry["dtype"] == "BF16":
            values = (np.frombuffer(data, np.uint16).astype(np.uint32) << 16).view(np.float32)
        else:
            values = np.frombuffer(data, {"F32": np.float32, "F16": np.float16}[entry["dtype"]])
        name = name.removeprefix("transformer.")
        tensors[name] = values.astype(np.float64).reshape(entry["shape"])
    return tensors


def gelu(x):
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x ** 3)))


class Model:
    def __init__(self, folder):
        config = json.loads((folder / "config.json").read_text("utf-8"))
        assert config["activation_function"] in ("gelu_new", "gelu_pytorch_tanh"), "only gelu_new"
        self.w = read_safetensors(folder / "model.safetensors")
        self.layers = config["n_layer"]
        self.head_dim = config["n_embd"] // config["n_head"]
        self.context = config["n_positions"]
        self.eps = config.get("layer_norm_epsilon", 1e-5)

    def norm(self, x, name):
        x = x - x.mean(-1, keepdims=True)
        x = x / np.sqrt((x ** 2).mean(-1, keepdims=True) + self.eps)
        return x * self.w[name + ".weight"] + self.w[name + ".bias"]

    def linear(self, x, name):
        return x @ self.w[name + ".weight"] + self.w[name + ".bias"]

    def attention(self, x, name):
        n, d = len(x), self.head_dim
        q, k, v = np.split(self.linear(x, name + ".c_attn"), 3, axis=1)
        out = np.zeros_like(v)
        hidden = np.triu(np.ones((n, n), bool), 1)
        for first in range(0, v.shape[1], d):
            part = slice(first, first + d)
            scores = q[:, part] @ k[:, part].T / np.sqrt(d)
            scores[hidden] = -np.inf
            scores = np.exp(scores - scores.max(1, keepdims=True))
            out[:, part] = scores / scores.sum(1, keepdims=True) @ v[:, part]
        return self.linear(out, name + ".c_proj")

    def losses(self, ids):
        """-ln p of ids[1:] given what stands before each."""
        x = self.w["wte.weight"][ids[:-1]] + self.w["wpe.weight"][:len(ids) - 1]
        for layer in range(self.layers):
            name = f"h.{layer}"
            x = x + self.attention(self.norm(x, name + ".ln_1"), name + ".attn")
            up = gelu(self.linear(self.norm(x, name + ".ln_2"), name + ".mlp.c_fc"))
            x = x + self.linear(up, name + ".mlp.c_proj")
        head = self.w.get("lm_head.weight", self.w["wte.weight"])
        logits = self.norm(x, "ln_f") @ head.T
        top = logits.max(1)
        total = np.log(np.exp(logits - top[:, None]).sum(1)) + top
        return total - logits[np.arange(len(logits)), ids[1:]]


def evaluate(folder, text, window=0, max_windows=0):
    folder = Path(folder)
    model = Model(folder)
    ids = np.array(Tokenizer(folder).encode(text))
    window = window or model.context
    count = max(1, len(ids) // window)
    if max_windows:
        count = min(count, max_windows)
    parts = [model.losses(ids[i * window:(i + 1) * window]) for i in range(count)]
    nll = np.concatenate(parts)
    return {"perplexity": float(np.exp(nll.mean())), "nll_mean": float(nll.mean()),
            "tokens_scored": len(nll), "window": window}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("model")
    parser.add_argument("text")
    parser.add_argument("--window", type=int, default=0)
    parser.add_argument("--max_windows", type=int, default=0)
    args = parser.parse_args()
    text = Path(args.text).read_bytes().decode("utf-8")
    print(json.dumps(evaluate(args.model, text, args.window, args.max_windows)))


if __name__ == "__main__":
    main()
