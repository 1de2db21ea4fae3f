// Validates documents with Ajv against schemas of an OpenAPI description: stdin { description, documents: [{ schema, document }] }, where description is the
// file's path and schema the name of a component; stdout { errors }.
import { readFileSync } from "node:fs";
import Ajv2020 from "ajv/dist/2020.js";

const question = JSON.parse(readFileSync(0, "utf8"));

// OpenAPI 3.0's nullable and exclusive bounds, which the description still has here and there, in JSON Schema's words.
function withNull(node) {
  if (Array.isArray(node)) return node.map(withNull);
  if (node === null || typeof node !== "object") return node;
  if (node.exclusiveMinimum === true) {
    const { minimum, ...others } = node;
    return withNull({ ...others, exclusiveMinimum: minimum });
  }
  const { nullable, ...rest } = Object.fromEntries(Object.entries(node).map(([name, value]) => [name, withNull(value)]));
  if (nullable !== true) return nullable === undefined ? rest : { ...rest, nullable };
  return { anyOf: [rest, { type: "null" }] };
}

const { components } = JSON.parse(readFileSync(question.description, "utf8"));
const ajv = new Ajv2020({ strict: false, allErrors: true, validateFormats: false });
ajv.addSchema(withNull({ components }), "openapi.json");
const errors = question.documents.flatMap(({ schema, document }, index) => {
  const validate = ajv.getSchema(`openapi.json#/components/schemas/${schema}`);
  if (validate === undefined) return [`there is no schema ${schema}`];
  return validate(document) ? [] : validate.errors.map((error) => `document ${index}, ${schema}: ${error.instancePath} ${error.message}`);
});
process.stdout.write(JSON.stringify({ errors }));
