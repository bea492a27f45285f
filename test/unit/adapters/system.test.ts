import { describe, expect, test } from "vitest";
import { createNodePorts } from "../../../src/adapters/node-ports.ts";
import { systemTimers } from "../../../src/adapters/system-timers.ts";

describe("Node's timers", () => {
  // Node fires such a timer at once: a retention of 30 days would run without a pause.
  test.each([2 ** 31, -1, Number.NaN, Number.POSITIVE_INFINITY])("refuse %d ms", (delayMs) => {
    expect(() => systemTimers.after(delayMs, () => {})).toThrow("delay");
    expect(() => systemTimers.every(delayMs, () => {})).toThrow("delay");
  });
});

describe("the ports of a broker process", () => {
  test("log what is fatal before the process is ended", () => {
    const order: string[] = [];
    const ports = createNodePorts({
      brokerId: 4,
      log: { destination: { write: (line) => order.push(line) } },
      onFatal: (reason) => order.push(`ended: ${reason}`),
    });
    ports.fatal("the metadata log cannot be written", new Error("EIO"));
    expect(order).toHaveLength(2);
    expect(JSON.parse(order[0] as string)).toMatchObject({
      level: "error",
      nodeId: 4,
      reason: "the metadata log cannot be written",
      cause: { message: "EIO" },
    });
    expect(order[1]).toBe("ended: the metadata log cannot be written");
  });
});
