import { describe, expect, test } from "vitest";
import { SCENARIOS } from "./scenarios/all.ts";

// How logs like this one were broken, played step by step. One that fails is told in full by
// `npm run sim -- --scenario NAME`.

describe("scenarios", () => {
  for (const { name, title, run } of SCENARIOS) {
    test(`${name}: ${title}`, async () => {
      const { failure } = await run();
      expect(failure?.message).toBeUndefined();
    });
  }

  test("each has its own name", () => {
    expect(new Set(SCENARIOS.map(({ name }) => name)).size).toBe(SCENARIOS.length);
  });
});
