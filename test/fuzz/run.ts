/** `npm run fuzz -- [--inputs N] [--seed N]`: damaged frames to the codec of Kafka's protocol. */
import { parseArgs } from "node:util";
import { fuzzKafkaWire } from "./kafka-wire.ts";

const { values } = parseArgs({
  options: {
    inputs: { type: "string", default: "10000000" },
    seed: { type: "string", default: "1" },
  },
});
const inputs = number("inputs", values.inputs);
const seed = number("seed", values.seed);
const startedMs = Date.now();

const result = fuzzKafkaWire({
  seed,
  inputs,
  onProgress: (done) => {
    if (process.stderr.isTTY) process.stderr.write(`\r${done} of ${inputs}`);
    else if (done % 1_000_000 === 0) process.stderr.write(`${done} of ${inputs}\n`);
  },
});
const seconds = (Date.now() - startedMs) / 1_000;
console.log(`${result.inputs} inputs of seed ${seed} in ${seconds.toFixed(1)} s:`);
console.log(`${result.accepted} read, ${result.refused} refused, none thrown`);
const kinds = [...result.refusals].sort(([, left], [, right]) => right - left);
for (const [kind, count] of kinds) console.log(`${String(count).padStart(10)}  ${kind}`);

function number(name: string, text: string): number {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value >= 1) return value;
  console.error(`--${name} '${text}': a positive integer is allowed`);
  process.exit(2);
}
