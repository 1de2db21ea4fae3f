// Encodes texts with Hugging Face's own tokenizers: stdin is { folder, texts }, stdout an array of token ids for each text.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Tokenizer } from "@huggingface/tokenizers";

const { folder, texts } = JSON.parse(readFileSync(0, "utf8"));
const read = (name) => JSON.parse(readFileSync(join(folder, name), "utf8"));
const tokenizer = new Tokenizer(read("tokenizer.json"), read("tokenizer_config.json"));
process.stdout.write(JSON.stringify(texts.map((text) => tokenizer.encode(text, { add_special_tokens: false }).ids)));
