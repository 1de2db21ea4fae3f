// Renders cases with Hugging Face's own Jinja: stdin and stdout are JSON arrays, an error becomes { "error": message }.
import { readFileSync } from "node:fs";
import { Template } from "@huggingface/jinja";

const templates = new Map();

function render({ template, variables }) {
  if (!templates.has(template)) templates.set(template, new Template(template));
  return templates.get(template).render(variables); // raise_exception is there already
}

const results = JSON.parse(readFileSync(0, "utf8")).map((item) => {
  try {
    return { text: render(item) };
  } catch (error) {
    return { error: error.message };
  }
});
process.stdout.write(JSON.stringify(results));
