// Parses an AsyncAPI document with the official parser; prints each fault that is more than advice, and exits 1 if there is any.
import { readFileSync } from "node:fs";
import { Parser } from "@asyncapi/parser";

const WARNING = 1;
const { document, diagnostics } = await new Parser().parse(readFileSync(process.argv[2], "utf8"));
const faults = diagnostics.filter(({ severity }) => severity <= WARNING);
for (const { path, message } of faults) console.log(`${path.join(".")}: ${message}`);
process.exit(document && faults.length === 0 ? 0 : 1);
