import { describe, expect, test } from "vitest";
import type { Random } from "../../src/ports/random.ts";

export function randomSuite(name: string, make: () => Random): void {
  describe(`${name} as Random`, () => {
    test("draws integers below the bound, all of them in time", () => {
      const random = make();
      const seen = new Set<number>();
      for (let index = 0; index < 2_000; index++) {
        const drawn = random.below(5);
        expect(Number.isInteger(drawn) && drawn >= 0 && drawn < 5).toBe(true);
        seen.add(drawn);
      }
      expect(seen.size).toBe(5);
      expect(random.below(1)).toBe(0);
      for (let index = 0; index < 100; index++) {
        const drawn = random.below(2 ** 32);
        expect(Number.isInteger(drawn) && drawn >= 0 && drawn < 2 ** 32).toBe(true);
      }
    });

    test("gives as many bytes as asked, others each time", () => {
      const random = make();
      expect(random.bytes(0).length).toBe(0);
      const left = random.bytes(16);
      const right = random.bytes(16);
      expect(left.length).toBe(16);
      expect(left).not.toEqual(right);
    });
  });
}
