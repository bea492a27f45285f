/** The proof's input: every line of the machine's package index, with the package it belongs to. */
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { Prng } from "../../src/base/prng.ts";

export interface IndexLine {
  readonly package: string;
  readonly line: string;
}

/** Yields lines for ever: after the last one it begins again. */
export async function* packageIndex(): AsyncGenerator<IndexLine, never> {
  for (;;) {
    let lines = 0;
    for await (const line of aptLines()) {
      lines++;
      yield line;
    }
    if (lines === 0) yield* standIn();
  }
}

async function* aptLines(): AsyncGenerator<IndexLine> {
  const child = spawn("apt-cache", ["dumpavail"], { stdio: ["ignore", "pipe", "ignore"] });
  let missing = false;
  child.once("error", () => {
    missing = true;
  });
  try {
    let name = "";
    for await (const line of createInterface({ input: child.stdout })) {
      if (line.startsWith("Package: ")) name = line.slice("Package: ".length);
      yield { package: name, line };
    }
  } finally {
    if (!missing) child.kill();
  }
}

const STAND_IN_PACKAGES = 60_000;

/** Where there is no apt: paragraphs of the same shape, the same on every machine. */
function* standIn(): Generator<IndexLine, never> {
  const prng = new Prng(1);
  for (;;) {
    for (let index = 0; index < STAND_IN_PACKAGES; index++) {
      const name = `package-${index}`;
      yield { package: name, line: `Package: ${name}` };
      yield { package: name, line: `Version: ${prng.below(9)}.${prng.below(99)}` };
      for (let field = prng.below(15) + 5; field > 0; field--) {
        yield { package: name, line: `Field-${field}: ${"x".repeat(prng.below(120))}` };
      }
      yield { package: name, line: "" };
    }
  }
}
