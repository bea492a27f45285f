/** Golden scripts as tests; what they are stands in `golden-script.ts`. */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { expect, test } from "vitest";
import { type Interpreter, runScript } from "./golden-script.ts";

/** One test per `*.txt` in the directory; each script gets an interpreter of its own. */
export function testScripts(directory: URL, newInterpreter: () => Interpreter): void {
  const names = readdirSync(directory).filter((name) => name.endsWith(".txt"));
  test("there are scripts to run", () => {
    expect(names.length).toBeGreaterThan(0);
  });
  for (const name of names) {
    test(name, () => {
      const file = new URL(name, directory);
      const content = readFileSync(file, "utf8");
      const result = runScript(content, newInterpreter());
      if (process.env["UPDATE_GOLDEN"] === "1") writeFileSync(file, result);
      else expect(result).toBe(content);
    });
  }
}
