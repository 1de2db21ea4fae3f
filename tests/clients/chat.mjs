// Drives a server with the openai package: models, one answer, the same answer streamed. Prints what it saw as JSON.
//   node chat.mjs BASE_URL API_KEY MODEL PROMPT        (NODE_EXTRA_CA_CERTS names the CA)
import OpenAI from "openai";

const [baseURL, apiKey, model, prompt] = process.argv.slice(2);
const client = new OpenAI({ baseURL, apiKey, maxRetries: 0, timeout: 60_000 });
const messages = [{ role: "user", content: prompt }];

const models = [];
for await (const entry of client.models.list()) models.push(entry.id);

const whole = await client.chat.completions.create({ model, messages, temperature: 0, max_tokens: 32 });

const stream = await client.chat.completions.create({
  model, messages, temperature: 0, max_tokens: 32, stream: true, stream_options: { include_usage: true },
});
let text = "", finish = null, usage = null, chunks = 0;
for await (const chunk of stream) {
  chunks++;
  text += chunk.choices[0]?.delta?.content ?? "";
  finish = chunk.choices[0]?.finish_reason ?? finish;
  usage = chunk.usage ?? usage;
}

const parallel = await Promise.all(Array.from({ length: 8 }, (_, i) =>
  client.chat.completions.create({ model, messages, temperature: 0, max_tokens: 8 + i })));

const refusal = async (request) => {
  try { await client.chat.completions.create(request); return null; }
  catch (e) { return { status: e.status, name: e.constructor.name, type: e.type, message: e.message }; }
};

console.log(JSON.stringify({
  models,
  whole: { text: whole.choices[0].message.content, finish: whole.choices[0].finish_reason, usage: whole.usage },
  streamed: { text, finish, usage, chunks },
  parallel: parallel.map((answer) => answer.choices[0].message.content),
  unknownModel: await refusal({ model: "no-such-model", messages }),
  badRequest: await refusal({ model, messages, temperature: 9 }),
}));
