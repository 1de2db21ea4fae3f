// stdin: {"cases": [{"schema": …, "documents": ["JSON text", …]}, …]}; stdout: {"errors": ["case 0, document 1: …", …]}
import { readFileSync } from "node:fs";
import Ajv2020 from "ajv/dist/2020.js";

const { cases } = JSON.parse(readFileSync(0, "utf8"));
const errors = [];
cases.forEach(({ schema, documents }, index) => {
  const validate = new Ajv2020({ strict: false, allErrors: true, validateFormats: false }).compile(schema);
  documents.forEach((text, number) => {
    try {
      if (!validate(JSON.parse(text))) errors.push(`case ${index}, document ${number}: ${JSON.stringify(validate.errors)} in ${text}`);
    } catch (error) {
      errors.push(`case ${index}, document ${number}: ${error.message} in ${text}`);
    }
  });
});
process.stdout.write(JSON.stringify({ errors }));
