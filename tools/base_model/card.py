"""The model card of the embedded base model, written from measured figures."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class CardFigures:
    """What a build measured."""

    num_weights: int
    num_layers: int
    hidden_size: int
    vocab_size: int
    num_steps: int
    num_tokens: int  # trained on, each once
    num_sentences: int  # distinct
    num_documents: int  # distinct
    seed: int
    minutes: float  # processor time, text and tokenizer included
    train_loss: float  # nats per token, mean of the last fifty steps
    held_out_tokens: int
    held_out_bytes: int
    model_bits: float  # held-out bits per byte
    unigram_bits: float
    trigram_bits: float
    trigram_weights: tuple[float, float, float]
    torch_version: str


def card_text(figures: CardFigures) -> str:
    """Return the card as Markdown; it names no machine and no path."""
    weights = " / ".join(f"{weight:g}" for weight in figures.trigram_weights)
    return f"""# nano: the embedded base model

A very small language model of a small closed world, made so that a fine-tuning run can be tried in two minutes without
any download. It is fluent in that world and useless outside it.

| | |
|---|---|
| Architecture | Llama, {figures.num_layers} layers, hidden size {figures.hidden_size}, tied embeddings |
| Weights | {figures.num_weights:,}, stored as bfloat16 |
| Held heads | attention heads of the first two layers, laid out by hand so that it copies early |
| Tokenizer | byte-level BPE, {figures.vocab_size:,} tokens, single digits, ChatML turns, no start token |
| Trained on | {figures.num_tokens:,} tokens of generated text, each seen once, {figures.num_steps:,} steps |
| Text | {figures.num_documents:,} distinct documents, {figures.num_sentences:,} distinct sentences |
| Languages | English and Portuguese |
| Time | {figures.minutes:.0f} minutes of processor time on one core, float32, torch {figures.torch_version} |
| Seed | {figures.seed} |

## What it knows

A shop: products with brand, material, colour, size and price; customers and their orders; support dialogues; findings
of personal-data detectors with type, value and score. Much of the text asks for names, numbers and JSON fields that
are in the context, and for tool calls whose arguments do. All text is drawn from seeded generators in
`tools/base_model`; people, brands and orders are invented, and mail addresses end in example.com or example.org.

It has not seen the four sample tasks: no taxonomy JSON, no house-style description, no answer in simplified language
and no tool of the sample catalogue.

## Held-out loss

Bits per byte on {figures.held_out_tokens:,} tokens ({figures.held_out_bytes:,} bytes) of documents that do not occur
in the training text, packed into rows of 512 tokens as in training; the first token of each row is not scored.
The baselines are token-level and counted over the same training text.

| Model | Bits per byte |
|---|---|
| nano (bfloat16 weights) | {figures.model_bits:.3f} |
| 3-gram, interpolated (weights {weights}, chosen on other unseen rows) | {figures.trigram_bits:.3f} |
| unigram, add-one | {figures.unigram_bits:.3f} |

Mean training loss of the last fifty steps: {figures.train_loss:.3f} nats per token.

## Limits

It knows no facts about the real world, writes no free prose beyond its shop, and copies reliably only values of the
kinds it was trained on. Contexts beyond 512 tokens lie outside what it was trained on. It is a fixture for learning,
testing and demonstration, not a model to ship.

## Rebuild

`make base-model` makes text, tokenizer, weights and this card again from the seed.
"""
