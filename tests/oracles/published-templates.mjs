// The chat templates of published models that @huggingface/ollama-utils carries, by the first model that has each; run with a folder, it writes them there.
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { runInNewContext } from "node:vm";

/** The package exports only what it makes of them: its bundle has them as a list of literals, from the name to a line "];". */
export function publishedTemplates() {
  const bundle = readFileSync(createRequire(import.meta.url).resolve("@huggingface/ollama-utils"), "utf8");
  const list = bundle.match(/OLLAMA_CHAT_TEMPLATE_MAPPING = (\[[^]*?\n\]);/)[1];
  const names = new Map();
  for (const { model, gguf } of runInNewContext(list)) if (!names.has(gguf)) names.set(gguf, unused(model.replace("library/", ""), [...names.values()]));
  return [...names].map(([source, name]) => ({ name, source }));
}

/** One model has had more than one template. */
function unused(name, taken, count = 1) {
  const numbered = count === 1 ? name : `${name} #${count}`;
  return taken.includes(numbered) ? unused(name, taken, count + 1) : numbered;
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href)
  for (const { name, source } of publishedTemplates()) writeFileSync(join(process.argv[2], `${name.replaceAll(/\W+/g, "-")}.jinja`), source);
