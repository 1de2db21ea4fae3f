// Validates a document with Ajv, against given schemas or the official CycloneDX one: stdin { schemas, id, document } or
// { cyclonedx, document }, stdout { errors }.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import Ajv from "ajv";
import Ajv2020 from "ajv/dist/2020.js";
import addFormats from "ajv-formats";
import addDraft2019Formats from "ajv-formats-draft2019";

const question = JSON.parse(readFileSync(0, "utf8"));
const options = { strict: false, allErrors: true };

function validator() {
  if (!question.cyclonedx) {
    const ajv = new Ajv2020({ ...options, schemas: question.schemas });
    return ajv.getSchema(question.id);
  }
  const require = createRequire(import.meta.url);
  const folder = require.resolve("@cyclonedx/cyclonedx-library/package.json").replace("package.json", "res/schema/");
  const read = (name) => JSON.parse(readFileSync(folder + name, "utf8"));
  const ajv = new Ajv({
    ...options,
    schemas: {
      "http://cyclonedx.org/schema/spdx.SNAPSHOT.schema.json": read("spdx.SNAPSHOT.schema.json"),
      "http://cyclonedx.org/schema/jsf-0.82.SNAPSHOT.schema.json": read("jsf-0.82.SNAPSHOT.schema.json"),
    },
  });
  addFormats(ajv);
  addDraft2019Formats(ajv);
  ajv.addFormat("string", true); // the schema's own word for any text
  return ajv.compile(read(`bom-${question.cyclonedx}.SNAPSHOT.schema.json`));
}

const validate = validator();
const errors = validate(question.document) ? [] : validate.errors.map((error) => `${error.instancePath} ${error.message}`);
process.stdout.write(JSON.stringify({ errors }));
