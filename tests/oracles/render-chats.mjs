// Renders chats with Hugging Face's own Jinja: stdin is { now, templates: [{ name, source }], chats, publishedChats }, stdout { name, source, published,
// answers } of those templates and chats, and of the templates of published models and their chats; an answer is { text }, { refusal } where the template
// raised it, or { failure } where the engine did.
import { readFileSync } from "node:fs";
import { Template } from "@huggingface/jinja";
import { publishedTemplates } from "./published-templates.mjs";

const { now, templates, chats, publishedChats } = JSON.parse(readFileSync(0, "utf8"));
process.env.TZ = "UTC";
globalThis.Date = class extends Date {
  constructor() {
    super(now); // what strftime_now asks for
  }
};

class Refusal extends Error {}

function refuse(message) {
  throw new Refusal(message);
}

function render(template, chat) {
  try {
    return { text: template.render({ ...chat, refuse }) };
  } catch (error) {
    return error instanceof Refusal ? { refusal: error.message } : { failure: error.message };
  }
}

/** Adding an object to a string gives nonsense here and a fault in Jinja: such a template wants arguments as the text that OpenAI's are. */
function renderEither(template, chat) {
  const answer = render(template, chat);
  return answer.text?.includes("[object Map]") ? render(template, JSON.parse(JSON.stringify(chat), argumentsAsText)) : answer;
}

function argumentsAsText(key, value) {
  return key === "arguments" ? JSON.stringify(value) : value;
}

function answered(template, published, chats) {
  const parsed = new Template(template.source.replaceAll("raise_exception", "refuse")); // its own raise_exception throws what its faults are too
  return { ...template, published, answers: chats.map((chat) => renderEither(parsed, chat)) };
}

const answers = [
  ...templates.map((template) => answered(template, false, chats)),
  ...publishedTemplates().map((template) => answered(template, true, publishedChats)),
];
process.stdout.write(JSON.stringify(answers));
