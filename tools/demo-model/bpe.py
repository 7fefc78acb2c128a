"""A small tokenizer in CLIP's byte-pair format: every word of the scenes is one token, other words fall apart.

Ids: 256 byte symbols, the same ending a word ("</w>"), one for each merge, start and end of text. `encode` is what
CLIP's tokenizer makes of plain lower-case captions; the worker reads the same files.
"""
import json
import pathlib
import re

import numpy as np

import configs
import scenes

START, END, LAST = "<|startoftext|>", "<|endoftext|>", "</w>"


def byte_symbols():
    """CLIP's printable stand-in for each byte, in the order of the vocabulary."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in printable]
    return {byte: chr(byte) for byte in printable} | {byte: chr(256 + i) for i, byte in enumerate(others)}


def merge(symbols, ranks):
    symbols = list(symbols)
    while len(symbols) > 1:
        rank, at = min((ranks.get(pair, len(ranks)), i) for i, pair in enumerate(zip(symbols, symbols[1:])))
        if rank == len(ranks):
            break
        pair, joined, i = (symbols[at], symbols[at + 1]), [], 0
        while i < len(symbols):
            if tuple(symbols[i:i + 2]) == pair:
                joined.append("".join(pair))
                i += 2
            else:
                joined.append(symbols[i])
                i += 1
        symbols = joined
    return symbols


def build(words):
    """Merges that make each word one token. A merge is only ever added behind those that earlier words use, so
    that no earlier word changes."""
    ranks = {}
    for word in words:
        symbols = merge([*word[:-1], word[-1] + LAST], ranks)
        while len(symbols) > 1:
            ranks[symbols[0], symbols[1]] = len(ranks)
            symbols = merge([*word[:-1], word[-1] + LAST], ranks)
    return list(ranks)


class Tokenizer:
    def __init__(self, merges=None):
        merges = build(scenes.words()) if merges is None else merges
        self.merges = merges
        self.ranks = {pair: i for i, pair in enumerate(merges)}
        symbols = list(byte_symbols().values())
        tokens = [*symbols, *(symbol + LAST for symbol in symbols), *(a + b for a, b in merges), START, END]
        self.ids = {token: i for i, token in enumerate(dict.fromkeys(tokens))}
        self.words = {}

    @property
    def size(self):
        return len(self.ids)

    def word(self, word):
        if word not in self.words:
            stand_in = [byte_symbols()[byte] for byte in word.encode()]
            stand_in[-1] += LAST
            self.words[word] = [self.ids[token] for token in merge(stand_in, self.ranks)]
        return self.words[word]

    def encode(self, text, pad=None, length=configs.POSITIONS):
        """[length] ids with start and end; `pad` is the end token (first encoder) or 0 (second)."""
        ids = [i for word in re.findall(r"[a-z]+|[0-9]|[^\sa-z0-9]+", text.lower()) for i in self.word(word)]
        ids = [self.ids[START], *ids[:length - 2], self.ids[END]]
        return np.array(ids + [self.ids[END] if pad is None else pad] * (length - len(ids)), np.int64)

    def write(self, folder, pad_token):
        folder = pathlib.Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "vocab.json").write_text(json.dumps(self.ids, ensure_ascii=False))
        (folder / "merges.txt").write_text("#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in self.merges))
        config = {"add_prefix_space": False, "bos_token": START, "eos_token": END, "unk_token": END,
                  "pad_token": pad_token, "model_max_length": configs.POSITIONS,
                  "tokenizer_class": "CLIPTokenizer", "do_lower_case": True}
        (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=1) + "\n")
