import { expect, test } from "vitest";
import { AppendPace } from "../../../src/broker/groups/append-pace.ts";

test("who is alone waits for nobody", () => {
  const pace = new AppendPace();
  expect(pace.waitMs(1_000)).toBe(0);
  pace.began(1_000, 1);
  expect(pace.waitMs(1_000)).toBe(0);
});

test("many calls make the next append wait, from the start of the last, and not for long", () => {
  const pace = new AppendPace();
  pace.began(1_000, 20);
  expect(pace.waitMs(1_000)).toBe(2);
  expect(pace.waitMs(1_001.5)).toBe(0);
  pace.began(2_000, 100_000);
  expect(pace.waitMs(2_000)).toBe(5);
  pace.began(3_000, 1);
  expect(pace.waitMs(3_000)).toBe(0);
});
