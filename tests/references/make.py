"""Makes the reference files of the tests, with the libraries that everyone else uses.

    python3 tests/references/make.py OUTPUT CORPUS...

Small random models of every family with the logits that transformers computes, adapters in PEFT's layout with the logits of the
adapted weights, and tokenizers of the common kinds with what tokenizers and sentencepiece make of texts. Seeds are fixed. Nothing in
the build or the tests runs this file: they read what it wrote. It needs torch, transformers, peft, tokenizers, sentencepiece, safetensors.
"""

import copy
import io
import json
import random
import sys
from pathlib import Path

import peft
import sentencepiece
import tokenizers
import torch
import transformers
from safetensors.torch import save_file
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

SIZES = dict(
    vocab_size=128, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
    max_position_embeddings=512, bos_token_id=1, eos_token_id=2, pad_token_id=0)
ROPE = dict(rope_type="default", rope_theta=10000.0)
LLAMA3 = dict(rope_type="llama3", rope_theta=500000.0, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=64)
LINEAR = dict(rope_type="linear", rope_theta=10000.0, factor=4.0)
YARN = dict(rope_type="yarn", rope_theta=10000.0, factor=4.0, original_max_position_embeddings=64)

FAMILIES = {
    "llama2": (transformers.LlamaConfig, dict(rope_parameters=ROPE)),
    "llama3": (transformers.LlamaConfig, dict(rope_parameters=LLAMA3)),
    "llama-linear": (transformers.LlamaConfig, dict(rope_parameters=LINEAR)),
    "llama-yarn": (transformers.LlamaConfig, dict(rope_parameters=YARN)),
    "smollm2": (transformers.LlamaConfig, dict(rope_parameters=dict(rope_type="default", rope_theta=100000.0), tie_word_embeddings=True)),
    "mistral": (transformers.MistralConfig, dict(rope_parameters=ROPE, sliding_window=16)),
    "mistral-full": (transformers.MistralConfig, dict(rope_parameters=ROPE, sliding_window=None, head_dim=16)),
    "qwen2": (transformers.Qwen2Config, dict(rope_parameters=ROPE, tie_word_embeddings=True)),
    "qwen3": (transformers.Qwen3Config, dict(rope_parameters=ROPE, head_dim=16, tie_word_embeddings=False)),
    "gemma2": (transformers.Gemma2Config, dict(rope_parameters=ROPE, head_dim=16, query_pre_attn_scalar=24, sliding_window=16,
        layer_types=["sliding_attention", "full_attention"], attn_logit_softcapping=5.0, final_logit_softcapping=3.0)),
    "gemma3": (transformers.Gemma3TextConfig, dict(head_dim=16, query_pre_attn_scalar=24, sliding_window=16, num_hidden_layers=3,
        layer_types=["sliding_attention", "sliding_attention", "full_attention"],
        rope_parameters=dict(
            sliding_attention=dict(rope_type="default", rope_theta=10000.0),
            full_attention=dict(rope_type="linear", rope_theta=1000000.0, factor=8.0)))),
}


def randomize(model, generator):
    """Norms and biases away from their neutral first values, which would hide that they are left out."""
    for name, parameter in model.named_parameters():
        noise = torch.randn(parameter.shape, generator=generator)
        if "norm" in name:
            parameter.copy_(noise * 0.2 + (0.0 if "Gemma" in type(model).__name__ else 1.0))
        elif name.endswith("bias"):
            parameter.copy_(noise * 0.3)
        else:
            parameter.copy_(noise * (1.0 / parameter.shape[-1] ** 0.5))


@torch.no_grad()
def make_families(output):
    for seed, (name, (config_type, options)) in enumerate(FAMILIES.items()):
        folder = output / "families" / name
        config = config_type(**{**SIZES, **options})
        config._attn_implementation = "eager"
        model = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()
        generator = torch.Generator().manual_seed(seed + 1)
        randomize(model, generator)
        model.tie_weights()
        tokens = torch.randint(3, config.vocab_size, (1, 80), generator=generator)
        logits = model(tokens).logits[0]
        model.save_pretrained(folder)
        (folder / "generation_config.json").unlink(missing_ok=True)
        save_file({"tokens": tokens[0], "logits": logits.contiguous()}, folder / "expected.safetensors")
        if name in ("llama2", "qwen3", "gemma2"):
            make_adapters(folder, config, model, tokens, generator)
        print(name, tuple(logits.shape), float(logits.abs().max()), sorted(p.name for p in folder.iterdir()))


def make_adapters(folder, config, model, tokens, generator):
    """Adapters as peft itself writes them, with random values."""
    for kind in ("lora", "rslora", "dora"):
        adapted = peft.get_peft_model(copy.deepcopy(model), peft.LoraConfig(
            r=4, lora_alpha=6, target_modules="all-linear", task_type="CAUSAL_LM", use_rslora=kind == "rslora", use_dora=kind == "dora"))
        for name, parameter in adapted.named_parameters():
            if "lora_magnitude" in name:
                parameter.mul_(1 + 0.1 * torch.randn(parameter.shape, generator=generator))
            elif "lora_" in name:
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.2)
        adapted.peft_config["default"].base_model_name_or_path = folder.name
        adapted.save_pretrained(folder / kind)
        (folder / kind / "README.md").unlink()
        save_file({"logits": adapted.eval()(tokens).logits[0].contiguous()}, folder / kind / "expected.safetensors")


POOLS = ["abcdefghijXYZ", "     \n\t\r", "0123456789٣²Ⅷ", "éßñøÅЖ日本語中文한국ขอบ", "🦙😀👨\u200d👩\u200d👧𠀀𝒜𝟘", "'\"", ".,;:!?-_()[]{}#@%/\\",
    "\u00a0\u2003\u3000\u200b\ufeff", "e\u0301o\u0308\u0323", "اَلْعَرَبِيَّةُ", "▁", "\x7f\x85\ufffd"]
WORDS = ["the", " quick", "It's", "'LL", "we'll", "  ", "\n\n", " \n", "<s>", "</s>", "<|im_start|>", "<start_of_turn>", "2024", "\r\n\r\n", " 日本", "<0x0A>", "<unk>"]


def texts(corpus, count=600, seed=11):
    chooser = random.Random(seed)
    sentences = [line.strip() for line in corpus.splitlines() if line.strip()]
    made = ["", " ", "  ", "\n", "Hello world", " Hello world", "Hello  world ", "<s>", "a<s> b", "▁", " ▁ "]
    while len(made) < count:
        if chooser.random() < 0.4:
            sentence = chooser.choice(sentences)
            start = chooser.randrange(len(sentence))
            made.append(sentence[start:start + chooser.randrange(1, 120)])
        else:
            parts = []
            for _ in range(chooser.randrange(1, 20)):
                parts.append(chooser.choice(WORDS) if chooser.random() < 0.33 else "".join(chooser.choices(chooser.choice(POOLS), k=chooser.randrange(1, 6))))
            made.append("".join(parts))
    return made


LLAMA3_SPLIT = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
QWEN2_SPLIT = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"


def sentencepiece_style(corpus, gemma, legacy):
    """Llama 2's and Gemma's tokenizer.json: SentencePiece's BPE with byte fallback."""
    special = ["<pad>", "<eos>", "<bos>", "<unk>"] if gemma else ["<unk>", "<s>", "</s>"]
    bytes_ = [f"<0x{value:02X}>" for value in range(256)]
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.normalizer = normalizers.Replace(" ", "▁") if gemma or not legacy else normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    splitter = pre_tokenizers.Split("▁", "merged_with_next")
    tokenizer.pre_tokenizer = splitter  # for training only: merges across words are of no use
    tokenizer.train_from_iterator(corpus.splitlines(), trainers.BpeTrainer(vocab_size=1500, special_tokens=special + bytes_, show_progress=False))
    described = json.loads(tokenizer.to_str())
    described["added_tokens"] = [token for token in described["added_tokens"] if token["content"] in special]
    described["pre_tokenizer"] = None
    if gemma:
        described["pre_tokenizer"] = {"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious", "invert": False}
    elif not legacy:
        described["normalizer"] = None
        described["pre_tokenizer"] = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": False}
    tokenizer = Tokenizer.from_str(json.dumps(described))
    first = decoders.Replace("▁", " ")
    tokenizer.decoder = decoders.Sequence([first, decoders.ByteFallback(), decoders.Fuse()] + ([] if gemma else [decoders.Strip(" ", 1, 0)]))
    bos = "<bos>" if gemma else "<s>"
    tokenizer.post_processor = processors.TemplateProcessing(single=f"{bos} $A", pair=f"{bos} $A {bos} $B", special_tokens=[(bos, tokenizer.token_to_id(bos))])
    return tokenizer


def byte_level(corpus, split, normalizer, special, ignore_merges):
    tokenizer = Tokenizer(models.BPE(ignore_merges=ignore_merges))
    if normalizer:
        tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = (
        pre_tokenizers.ByteLevel(add_prefix_space=False) if split is None
        else pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(split), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]))
    tokenizer.train_from_iterator(corpus.splitlines(), trainers.BpeTrainer(
        vocab_size=1500, special_tokens=[], initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False))
    tokenizer.add_special_tokens(special)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def make_tokenizers(output, corpus):
    inputs = texts(corpus)
    made = {
        "llama2": sentencepiece_style(corpus, gemma=False, legacy=True),
        "mistral": sentencepiece_style(corpus, gemma=False, legacy=False),
        "gemma": sentencepiece_style(corpus, gemma=True, legacy=False),
        "llama3": byte_level(corpus, LLAMA3_SPLIT, None, ["<|begin_of_text|>", "<|im_start|>"], True),
        "qwen2": byte_level(corpus, QWEN2_SPLIT, normalizers.NFC(), ["<|endoftext|>", "<|im_start|>"], False),
        "gpt2": byte_level(corpus, None, None, ["<|endoftext|>"], False),
    }
    (output / "tokenizers").mkdir(exist_ok=True)
    (output / "tokenizers" / "texts.json").write_text(json.dumps(inputs, ensure_ascii=True))
    for name, tokenizer in made.items():
        folder = output / "tokenizers" / name
        folder.mkdir()
        tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
        ids = [tokenizer.encode(text).ids for text in inputs]
        plain = [tokenizer.encode(text, add_special_tokens=False).ids for text in inputs]
        decoded = [tokenizer.decode(row, skip_special_tokens=False) for row in plain]
        (folder / "expected.json").write_text(json.dumps(dict(ids=ids, plain=plain, decoded=decoded), ensure_ascii=True, separators=(",", ":")))
        print(name, tokenizer.get_vocab_size())

    for kind in ("bpe", "unigram"):
        folder = output / "tokenizers" / f"sentencepiece-{kind}"
        folder.mkdir()
        model = io.BytesIO()
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(corpus.splitlines()[:4000]), model_writer=model, model_type=kind, vocab_size=1500, byte_fallback=True,
            split_digits=True, character_coverage=0.999, normalization_rule_name="identity", remove_extra_whitespaces=False,
            user_defined_symbols=["<|im_start|>"], num_threads=1, max_sentence_length=8192, allow_whitespace_only_pieces=True, minloglevel=2)
        (folder / "tokenizer.model").write_bytes(model.getvalue())
        processor = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
        ids = [processor.encode(text) for text in inputs]
        (folder / "expected.json").write_text(json.dumps(dict(ids=ids, decoded=[processor.decode(row) for row in ids]), ensure_ascii=True, separators=(",", ":")))
        print(kind, processor.vocab_size())


def main():
    output = Path(sys.argv[1])
    lines = []
    for path in sys.argv[2:]:
        text = Path(path).read_text()
        lines += [json.loads(line)["answer"] for line in text.splitlines()] if path.endswith(".jsonl") else text.splitlines()
    corpus = "\n".join(lines)[:1_200_000]
    output.mkdir(parents=True, exist_ok=True)
    make_families(output)
    make_tokenizers(output, corpus)
    versions = {library.__name__: library.__version__ for library in (torch, transformers, peft, tokenizers, sentencepiece)}
    (output / "versions.json").write_text(json.dumps(versions, indent=2))
    print(versions)


main()
