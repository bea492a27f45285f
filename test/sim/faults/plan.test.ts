import { expect, test } from "vitest";
import { Prng } from "../../../src/base/prng.ts";
import { FAULT_KINDS, FAULTS, faultsNamed } from "./catalogue.ts";
import { FaultDraw } from "./fault-kind.ts";
import { drawPlan, parsePlan } from "./plan.ts";

// Plans are drawn whole from the seed, and survive a file.

function planOf(seed: number, allowed: readonly string[] = FAULTS) {
  const options = { durationMs: 60_000, brokersCount: 5, mayGoBeyond: true };
  return drawPlan({ prng: new Prng(seed), allowed, ...options });
}

test("a seed draws the same plan each time, in order of time", () => {
  for (let seed = 1; seed <= 50; seed++) {
    const plan = planOf(seed);
    expect(planOf(seed)).toEqual(plan);
    const times = plan.faults.map(({ atMs }) => atMs);
    expect(times).toEqual([...times].sort((left, right) => left - right));
    expect(times.every((atMs) => atMs < 60_000)).toBe(true);
  }
});

test("swarms differ: quiet runs, runs of one class, runs beyond, and every kind occurs", () => {
  const classes = new Map(FAULT_KINDS.map(({ kind, class: of }) => [kind, of]));
  const seen = new Set<string>();
  const swarms = new Set<string>();
  for (let seed = 1; seed <= 400; seed++) {
    const kinds = [...new Set(planOf(seed).faults.map(({ kind }) => kind))];
    for (const kind of kinds) seen.add(kind);
    swarms.add([...new Set(kinds.map((kind) => classes.get(kind)))].sort().join());
  }
  expect([...seen].sort()).toEqual(FAULT_KINDS.map(({ kind }) => kind).sort());
  for (const wanted of ["", "network", "disk", "process", "clock"]) {
    expect(swarms).toContain(wanted);
  }
});

test("each kind's faults pass through JSON as they are", () => {
  for (const kind of FAULT_KINDS) {
    const draw = new FaultDraw(new Prng(7), 5);
    for (let count = 0; count < 20; count++) {
      const fault = { atMs: count, kind: kind.kind, ...kind.draw(draw) };
      const plan = { durationMs: 100, faults: [fault], heal: { mode: "whole" } };
      expect(parsePlan(JSON.parse(JSON.stringify(plan)))).toEqual(plan);
    }
  }
});

test("names of classes stand for their kinds, beyond only if it is asked for", () => {
  expect(faultsNamed(["clock", "crash"])).toContain("clock-jump");
  expect(faultsNamed(["clock", "crash"])).toContain("crash");
  expect(faultsNamed(["clock", "crash"])).not.toContain("isolate");
  expect(FAULTS).not.toContain("wipe-some");
  expect(() => faultsNamed(["flood"])).toThrow(/neither a class/);
});

test("a plan that is not in order of time is refused", () => {
  const at = (atMs: number) => ({ atMs, kind: "crash", on: 1, durationMs: 1 });
  const plan = { durationMs: 9, heal: { mode: "whole" } };
  expect(() => parsePlan({ ...plan, faults: [at(2), at(1)] })).toThrow(/not in order/);
  expect(() => parsePlan({ ...plan, faults: [{ ...at(1), extra: 1 }] })).toThrow(/not valid/);
});
