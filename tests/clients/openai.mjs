// Drives a server with the openai package through everything that is offered, and prints what it saw as JSON. Errors are told by class, as users catch them.
//   node openai.mjs BASE_URL API_KEY MODEL           (NODE_EXTRA_CA_CERTS names the CA)
import OpenAI from "openai";

const [baseURL, apiKey, model] = process.argv.slice(2);
const client = new OpenAI({ baseURL, apiKey, maxRetries: 0, timeout: 60_000 });
const messages = [{ role: "user", content: "What does \"river\" mean?" }];
const tools = [{ type: "function", function: { name: "weather", parameters: { type: "object", properties: { place: { type: "string" } } } } }];
const failure = async (call) => {
  try { await call; return null; }
  catch (e) { return { name: e.constructor.name, status: e.status, code: e.code, type: e.type, param: e.param }; }
};

async function streamed(request) {
  const stream = client.chat.completions.stream({ ...request, stream_options: { include_usage: true } });
  let pieces = 0;
  for await (const _ of stream) pieces++;
  const final = await stream.finalChatCompletion();
  return { pieces, message: final.choices[0].message, finish: final.choices[0].finish_reason, usage: final.usage };
}

async function models() {
  const ids = [];
  for await (const entry of client.models.list()) ids.push(entry.id);
  return { ids, one: (await client.models.retrieve(model)).id };
}

async function toolLoop() {
  const asked = [];
  const runner = client.chat.completions.runTools({
    model: "tools", messages,
    tools: [{ type: "function", function: { name: "weather", parse: JSON.parse, parameters: tools[0].function.parameters, function: ({ place }) => { asked.push(place); return "sun"; } } }],
  }, { maxChatCompletions: 1 });
  await runner.done();
  return { asked, messages: runner.messages.map((message) => message.role) };
}

async function response() {
  const stream = client.responses.stream({ model: "tools", input: "Weather?", tools: [{ type: "function", name: "weather", parameters: tools[0].function.parameters, strict: false }] });
  const types = [];
  for await (const event of stream) types.push(event.type);
  return { types, output: (await stream.finalResponse()).output.map((item) => item.type), text: (await client.responses.create({ model, input: "river?", max_output_tokens: 8 })).output_text };
}

async function cancelled() {
  const stream = await client.chat.completions.create({ model: "silent", messages, stream: true });
  for await (const chunk of stream) if (chunk.choices[0]?.delta?.content) { stream.controller.abort(); break; }
  return true;
}

const named = {
  models: models(),
  whole: client.chat.completions.create({ model, messages, temperature: 0, max_tokens: 24 }),
  streamed: streamed({ model, messages, temperature: 0, max_tokens: 24 }),
  several: client.chat.completions.create({ model, messages, n: 2, seed: 1, max_tokens: 4 }),
  toolCalls: streamed({ model: "tools", messages, tools }),
  toolLoop: toolLoop(),
  completion: client.completions.create({ model, prompt: "A river is", max_tokens: 6, temperature: 0 }),
  embedding: client.embeddings.create({ model: "vectors", input: ["one", "three"] }), // asks for base64 and decodes it
  response: response(),
  cancelled: cancelled(),
  unknownModel: failure(client.chat.completions.create({ model: "nobody", messages })),
  badRequest: failure(client.chat.completions.create({ model, messages, temperature: 9 })),
  tooLong: failure(client.chat.completions.create({ model, messages: [{ role: "user", content: "word ".repeat(4000) }] })),
  busy: failure(client.chat.completions.create({ model: "busy", messages })),
  down: failure(client.chat.completions.create({ model: "dead", messages })),
  broken: failure(streamed({ model: "broken", messages })),
  wrongKey: failure(new OpenAI({ baseURL, apiKey: "mo_" + "A".repeat(43), maxRetries: 0 }).models.list()),
};
const seen = {};
for (const [name, promise] of Object.entries(named)) promise.catch(() => {}); // each is reported in its turn
for (const [name, promise] of Object.entries(named)) {
  try { seen[name] = await promise; }
  catch (e) { seen[name] = { threw: String(e) }; }
}
console.log(JSON.stringify(seen));
