// Fine-tunes with the openai package from upload to chat and deletion, and prints every object that it saw as JSON. "tuned" is the example of the documentation.
//   node finetune.mjs BASE_URL API_KEY MODEL TRAINING_FILE VALIDATION_FILE           (NODE_EXTRA_CA_CERTS names the CA)
import fs from "node:fs";
import OpenAI, { toFile } from "openai";

const [baseURL, apiKey, base, trainingPath, validationPath] = process.argv.slice(2);
const client = new OpenAI({ baseURL, apiKey, maxRetries: 0, timeout: 120_000 });
const seen = [];
const see = (schema, document) => { seen.push({ schema, document }); return document; };
const failure = async (call) => {
  try { await call; return null; }
  catch (e) { return { name: e.constructor.name, status: e.status, code: e.code, param: e.param, message: e.message }; }
};

async function until(id, done) {
  for (;;) {
    const job = see("FineTuningJob", await client.fineTuning.jobs.retrieve(id));
    if (done(job)) return job;
    if (job.status === "failed") throw new Error(JSON.stringify(job.error));
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

async function all(pages) {
  const items = [];
  for await (const item of pages) items.push(item);
  return items;
}

const training = see("OpenAIFile", await client.files.create({ file: fs.createReadStream(trainingPath), purpose: "fine-tune" }));
const validation = see("OpenAIFile", await client.files.create({ file: fs.createReadStream(validationPath), purpose: "fine-tune", expires_after: { anchor: "created_at", seconds: 3600 } }));
const batchLine = JSON.stringify({ custom_id: "one", method: "POST", url: "/v1/chat/completions", body: { model: base, messages: [] } });
const batch = see("OpenAIFile", await client.files.create({ file: await toFile(Buffer.from(batchLine), "batch.jsonl"), purpose: "batch" }));

// 1. A job that is paused, resumed and cancelled on its way.
const long = see("FineTuningJob", await client.fineTuning.jobs.create({
  model: base, training_file: training.id, suffix: "long", metadata: { use: "control" }, hyperparameters: { n_epochs: 50, batch_size: 1 },
}));
for (let steps = 0; steps === 0; ) steps = (await all(client.fineTuning.jobs.listEvents(long.id))).filter((event) => event.data?.grad_norm).length;
const paused = await client.fineTuning.jobs.pause(long.id);
const heldCheckpoints = see("ListFineTuningJobCheckpointsResponse", (await client.fineTuning.jobs.checkpoints.list(long.id)).body);
const inUse = await failure(client.files.delete(training.id));
const resumed = see("FineTuningJob", await client.fineTuning.jobs.resume(long.id));
await until(long.id, (job) => job.status === "running");
const cancelled = see("FineTuningJob", await client.fineTuning.jobs.cancel(long.id));
const cancelledAgain = await failure(client.fineTuning.jobs.cancel(long.id));

// 2. From the files to an answer.
const created = see("FineTuningJob", await client.fineTuning.jobs.create({
  model: base, training_file: training.id, validation_file: validation.id, suffix: "words", seed: 7, metadata: { use: "journey", round: "1" },
  method: { type: "supervised", supervised: { hyperparameters: { n_epochs: 2, batch_size: 1, learning_rate_multiplier: 0.5 } } },
}));
const ended = await until(created.id, (job) => ["succeeded", "failed", "cancelled"].includes(job.status));
const events = await all(client.fineTuning.jobs.listEvents(created.id, { limit: 5 }));
see("ListFineTuningJobEventsResponse", (await client.fineTuning.jobs.listEvents(created.id, { limit: 5 })).body);
const checkpoints = await all(client.fineTuning.jobs.checkpoints.list(created.id));
see("ListFineTuningJobCheckpointsResponse", (await client.fineTuning.jobs.checkpoints.list(created.id)).body);
const listed = see("ListPaginatedFineTuningJobsResponse", (await client.fineTuning.jobs.list({ limit: 1 })).body);
const everyJob = (await all(client.fineTuning.jobs.list({ limit: 1 }))).map((job) => job.id);
const filtered = (await all(client.fineTuning.jobs.list({ metadata: { use: "control" } }))).map((job) => job.id);
const results = await (await client.files.content(ended.result_files[0])).text();
const model = ended.fine_tuned_model;
const entry = see("Model", await client.models.retrieve(model));
see("ListModelsResponse", (await client.models.list()).body);
const messages = [{ role: "user", content: "What does \"river\" mean?" }];
const whole = await client.chat.completions.create({ model, messages, temperature: 0, max_tokens: 16 });
let streamed = "";
for await (const chunk of await client.chat.completions.create({ model, messages, temperature: 0, max_tokens: 16, stream: true })) streamed += chunk.choices[0]?.delta?.content ?? "";

// 3. What is kept, and how it goes.
const files = (await all(client.files.list({ limit: 2 }))).map((file) => file.id);
const batches = see("ListFilesResponse", (await client.files.list({ purpose: "batch", order: "asc" })).body);
see("OpenAIFile", await client.files.retrieve(training.id));
const content = await (await client.files.content(training.id)).text();
const gone = see("DeleteModelResponse", await client.models.delete(model));
const afterwards = await failure(client.chat.completions.create({ model, messages }));
const deleted = see("DeleteFileResponse", await client.files.delete(training.id));
const missing = await failure(client.files.retrieve(training.id));

console.log(JSON.stringify({
  seen, training, validation, batch, paused, heldCheckpoints, inUse, resumed, cancelled, cancelledAgain, created, ended, events, checkpoints, listed, everyJob, filtered,
  results, entry, whole: whole.choices[0].message.content, streamed, files, batches, content, gone, afterwards, deleted, missing,
}));
