"""Rebuild the embedded base model from its seed: `make base-model`.

It makes the text, trains the tokenizer and the model on one processor core, measures both and writes the model card.
The number of steps is fixed, so that the same seed and library versions give the same weights.
"""

from __future__ import annotations

import argparse
import math
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from random import Random

import torch
from tokenizers import Tokenizer
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM

from base_model.baselines import TrigramCounts, best_mixture
from base_model.card import CardFigures, card_text
from base_model.corpus import documents, tokenizer_texts
from base_model.first_weights import CONSTANT, ROPE_THETA, SLOT, TOKEN_GAIN, TOKEN_SPREAD, FirstHead, first_heads
from base_model.texts import split_sentences
from base_model.vocabulary import MAX_LENGTH, PAD, TURN_END, train_tokenizer, write_tokenizer


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildConfig:
    """Size, schedule and seed of the embedded model."""

    seed: int = 42
    vocab_size: int = 4096
    hidden_size: int = 256
    num_layers: int = 4
    num_heads: int = 4
    num_kv_heads: int = 2
    intermediate_size: int = 704
    num_steps: int = 2000
    num_warmup_steps: int = 50
    rows_per_step: int = 4
    row_tokens: int = 512
    learning_rate: float = 2.5e-3
    weight_decay: float = 0.05
    tokenizer_documents: int = 30_000  # documents the tokenizer is trained on
    held_out_rows: int = 64
    preview_every: int = 200  # steps between two previews


def main() -> None:
    """Parse the command line and build the model into the folder it names."""
    parser = argparse.ArgumentParser(description="Rebuild the embedded base model from its seed.")
    parser.add_argument("--out", type=Path, required=True, help="folder to write the model to")
    parser.add_argument("--preview", type=Path, default=None, help="folder to keep the weights of the moment in")
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--steps", type=int, default=BuildConfig().num_steps)
    arguments = parser.parse_args()
    build(replace(BuildConfig(), seed=arguments.seed, num_steps=arguments.steps), arguments.out, arguments.preview)


def build(config: BuildConfig, out: Path, preview: Path | None = None) -> None:
    """Train the tokenizer and the model, measure both, and write the folder `out` complete."""
    torch.set_num_threads(1)
    torch.manual_seed(config.seed)
    sample = tokenizer_texts(Random(f"{config.seed} tokenizer"), config.tokenizer_documents)
    tokenizer = train_tokenizer(sample, config.vocab_size)
    print(f"tokenizer of {tokenizer.get_vocab_size()} tokens after {time.process_time():.0f} s", flush=True)

    model = new_model(config, tokenizer)
    print(f"model of {model.num_parameters():,} weights", flush=True)
    text = TrainingText(config, tokenizer)
    last_loss = _fit(config, model, tokenizer, text, preview)
    minutes = time.process_time() / 60
    figures = _measure(config, model, tokenizer, text, minutes, last_loss)
    save(model, tokenizer, out)
    (out / "MODEL_CARD.md").write_text(card_text(figures), encoding="utf-8")
    print(card_text(figures), flush=True)


def new_model(config: BuildConfig, tokenizer: Tokenizer) -> LlamaForCausalLM:
    """Return the untrained model, float32."""
    shape = LlamaConfig(
        vocab_size=config.vocab_size,
        hidden_size=config.hidden_size,
        intermediate_size=config.intermediate_size,
        num_hidden_layers=config.num_layers,
        num_attention_heads=config.num_heads,
        num_key_value_heads=config.num_kv_heads,
        max_position_embeddings=MAX_LENGTH,
        tie_word_embeddings=True,
        rope_parameters={"rope_type": "default", "rope_theta": ROPE_THETA},
        bos_token_id=None,
        eos_token_id=tokenizer.token_to_id(TURN_END),
        pad_token_id=tokenizer.token_to_id(PAD),
        attn_implementation="sdpa",
    )
    model = LlamaForCausalLM(shape)
    with torch.no_grad():
        model.model.embed_tokens.weight.normal_(std=TOKEN_SPREAD)
        for layer in model.model.layers:  # what writes to the residual stream starts silent
            layer.self_attn.o_proj.weight.zero_()
            layer.mlp.down_proj.weight.zero_()
        later = [norm for name, norm in model.named_parameters() if "norm" in name and "layers.0.input" not in name]
        for weight_D in later:
            weight_D[1 : -3 * SLOT] = TOKEN_GAIN
    return model


class HeldHeads:
    """The heads laid out by hand, put into a model at the start and held there after each step."""

    def __init__(self, config: BuildConfig, model: LlamaForCausalLM) -> None:
        self.size = config.hidden_size // config.num_heads
        self.embeddings_VD = model.model.embed_tokens.weight
        first_layer = model.model.layers[0]
        first_norm, second_norm = (layer.input_layernorm.weight.detach() for layer in model.model.layers[:2])
        self.unit_norms = [first_norm, second_norm[-3 * SLOT :]]
        self.silent = [first_layer.self_attn.o_proj.weight.detach(), first_layer.mlp.down_proj.weight.detach()]
        heads = first_heads(Random(f"{config.seed} heads"), hidden_size=config.hidden_size, head_size=self.size)
        self.held = [pair for head in heads for pair in self._pairs(model, head, held=True)]
        self.hold()
        for head in heads:
            _write(self._pairs(model, head, held=False))

    @torch.no_grad()
    def hold(self) -> None:
        """Part the embeddings anew, all of one length, and put the held matrices into their layers."""
        self.embeddings_VD[:, 0] = 0
        self.embeddings_VD[:, -3 * SLOT :] = 0
        width = self.embeddings_VD.shape[1] - 3 * SLOT - 1
        self.embeddings_VD *= TOKEN_SPREAD * width**0.5 / self.embeddings_VD.norm(dim=1, keepdim=True)
        self.embeddings_VD[:, 0] = CONSTANT
        for weight in self.unit_norms:
            weight.fill_(1)
        for weight in self.silent:  # only the heads that look back write into the last part
            weight[-3 * SLOT :] = 0
        _write(self.held)

    def _pairs(self, model: LlamaForCausalLM, head: FirstHead, *, held: bool) -> list[tuple[Tensor, Tensor]]:
        """Return (part of the model's weights, what belongs there) for what is held, or for what is not."""
        attention = model.model.layers[head.layer].self_attn
        rows = slice(head.head * self.size, (head.head + 1) * self.size)
        kv_rows = slice(head.kv_head * self.size, (head.kv_head + 1) * self.size)
        always = [
            (attention.q_proj.weight.detach()[rows], torch.tensor(head.query)),
            (attention.k_proj.weight.detach()[kv_rows], torch.tensor(head.key)),
        ]
        content = [
            (attention.v_proj.weight.detach()[kv_rows], torch.tensor(head.value)),
            (attention.o_proj.weight.detach()[:, rows], torch.tensor(head.output)),
        ]
        if held:
            return always + (content if head.holds_value else [])
        return [] if head.holds_value else content


def _write(pairs: list[tuple[Tensor, Tensor]]) -> None:
    for part, matrix in pairs:
        part.copy_(matrix)


class TrainingText:
    """The stream of rows that the model is trained on; it counts what went through."""

    def __init__(self, config: BuildConfig, tokenizer: Tokenizer) -> None:
        self.counts = TrigramCounts(vocab_size=config.vocab_size)
        self.sentences: set[int] = set()
        self.documents: set[int] = set()
        self.num_tokens = 0
        self.num_bytes = 0
        self._rows = pack(self._counted(documents(Random(f"{config.seed} training"))), tokenizer, config.row_tokens)

    def rows(self, count: int) -> list[list[int]]:
        """Return the next `count` rows of token ids."""
        rows = list(islice(self._rows, count))
        for row in rows:
            self.counts.add(row)
            self.num_tokens += len(row)
        return rows

    def _counted(self, stream: Iterator[str]) -> Iterator[str]:
        for document in stream:
            self.documents.add(hash_text(document))
            self.sentences.update(hash_text(sentence) for sentence in split_sentences(document))
            self.num_bytes += len(document.encode())
            yield document


def hash_text(text: str) -> int:
    """Return a number that stands for the text within this process."""
    return hash(text)


def pack(stream: Iterator[str], tokenizer: Tokenizer, row_tokens: int) -> Iterator[list[int]]:
    """Yield rows of exactly `row_tokens` ids; each starts with a document and its last one is cut at the end."""
    row: list[int] = []
    while True:
        for encoding in tokenizer.encode_batch(list(islice(stream, 256)), add_special_tokens=False):
            row += encoding.ids
            if len(row) >= row_tokens:
                yield row[:row_tokens]
                row = []


def _fit(
    config: BuildConfig, model: LlamaForCausalLM, tokenizer: Tokenizer, text: TrainingText, preview: Path | None
) -> float:
    """Train the model in place and return the mean loss of the last fifty steps, in nats per token."""
    matrices = [weight for weight in model.parameters() if weight.ndim >= 2]
    vectors = [weight for weight in model.parameters() if weight.ndim < 2]
    groups = [{"params": matrices, "weight_decay": config.weight_decay}, {"params": vectors, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=config.learning_rate, betas=(0.9, 0.95), eps=1e-8)
    heads = HeldHeads(config, model)
    model.train()
    losses: list[float] = []
    started_s = time.monotonic()
    for step in range(config.num_steps):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(config, step)
        ids_BT = torch.tensor(text.rows(config.rows_per_step))
        logits_BTV = model(input_ids=ids_BT, use_cache=False).logits
        loss = torch.nn.functional.cross_entropy(logits_BTV[:, :-1].flatten(0, 1), ids_BT[:, 1:].flatten())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        heads.hold()
        losses.append(loss.item())
        if (step + 1) % 25 == 0:
            elapsed_s = time.monotonic() - started_s
            left_min = elapsed_s / (step + 1) * (config.num_steps - step - 1) / 60
            recent = sum(losses[-25:]) / 25
            print(f"step {step + 1}/{config.num_steps} loss {recent:.4f} tokens {text.num_tokens:,} "
                  f"{text.num_tokens / elapsed_s:,.0f} tokens/s, {left_min:.0f} min left", flush=True)  # fmt: skip
        if preview is not None and (step + 1) % config.preview_every == 0:
            save(model, tokenizer, preview)
    return sum(losses[-50:]) / len(losses[-50:])


def learning_rate(config: BuildConfig, step: int) -> float:
    """Return the learning rate of a step: a linear warm-up, then a cosine down to a hundredth."""
    if step < config.num_warmup_steps:
        return config.learning_rate * (step + 1) / config.num_warmup_steps
    done = (step - config.num_warmup_steps) / max(1, config.num_steps - config.num_warmup_steps)
    return config.learning_rate * (0.01 + 0.99 * (1 + math.cos(math.pi * done)) / 2)


def save(model: LlamaForCausalLM, tokenizer: Tokenizer, folder: Path) -> None:
    """Write weights (bfloat16), configuration and tokenizer beside `folder`, then put them in its place."""
    aside = folder.with_name(folder.name + ".partial")
    shutil.rmtree(aside, ignore_errors=True)
    write_tokenizer(tokenizer, aside)
    half = LlamaForCausalLM(model.config)
    half.load_state_dict(model.state_dict())
    half.to(torch.bfloat16).save_pretrained(aside)
    if folder.exists():
        old = folder.with_name(folder.name + ".old")
        shutil.rmtree(old, ignore_errors=True)
        folder.rename(old)
        aside.rename(folder)
        shutil.rmtree(old)
    else:
        folder.parent.mkdir(parents=True, exist_ok=True)
        aside.rename(folder)


def _measure(
    config: BuildConfig,
    model: LlamaForCausalLM,
    tokenizer: Tokenizer,
    text: TrainingText,
    minutes: float,
    last_loss: float,
) -> CardFigures:
    """Return the figures of the card, the losses taken on rows of unseen documents and in bits per byte."""
    rounded = LlamaForCausalLM(model.config)
    rounded.load_state_dict({name: weight.to(torch.bfloat16).float() for name, weight in model.state_dict().items()})
    unseen = (one for one in documents(Random(f"{config.seed} held-out")) if hash_text(one) not in text.documents)
    rows = pack(unseen, tokenizer, config.row_tokens)
    tuning_rows, held_out = list(islice(rows, config.held_out_rows)), list(islice(rows, config.held_out_rows))
    num_bytes = sum(len(tokenizer.decode(row[1:], skip_special_tokens=False).encode()) for row in held_out)
    weights = best_mixture(text.counts, tuning_rows)

    def per_byte(nats: float) -> float:
        return nats / math.log(2) / num_bytes

    return CardFigures(
        num_weights=model.num_parameters(),
        num_layers=config.num_layers,
        hidden_size=config.hidden_size,
        vocab_size=config.vocab_size,
        num_steps=config.num_steps,
        num_tokens=text.num_tokens,
        num_sentences=len(text.sentences),
        num_documents=len(text.documents),
        seed=config.seed,
        minutes=minutes,
        train_loss=last_loss,
        held_out_tokens=len(held_out) * (config.row_tokens - 1),
        held_out_bytes=num_bytes,
        model_bits=per_byte(_model_nats(rounded, held_out)),
        unigram_bits=per_byte(sum(text.counts.unigram_nats(row) for row in held_out)),
        trigram_bits=per_byte(sum(text.counts.trigram_nats(row, weights) for row in held_out)),
        trigram_weights=weights,
        torch_version=torch.__version__.split("+")[0],
    )


@torch.no_grad()
def _model_nats(model: LlamaForCausalLM, rows: list[list[int]]) -> float:
    model.eval()
    nats = 0.0
    for row in rows:
        ids_1T = torch.tensor([row])
        logits_TV = model(input_ids=ids_1T, use_cache=False).logits[0, :-1]
        nats += torch.nn.functional.cross_entropy(logits_TV, ids_1T[0, 1:], reduction="sum").item()
    return nats


if __name__ == "__main__":
    main()
