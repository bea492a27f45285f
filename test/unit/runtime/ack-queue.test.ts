import { describe, expect, test } from "vitest";
import type { ErrorCode } from "../../../src/model/errors.ts";
import { AckQueue } from "../../../src/runtime/ack-queue.ts";

describe("producers that wait for a position", () => {
  const settled: string[] = [];
  const waiter = (endOffset: number, deadlineMs = 100) => ({
    endOffset,
    deadlineMs,
    settle: (error: ErrorCode | undefined) => {
      settled.push(`${endOffset} ${error ?? "ok"}`);
    },
  });
  const taken = (): string[] => settled.splice(0);

  test("are released in order, up to the position and no further", () => {
    const queue = new AckQueue();
    for (const end of [1, 3, 5]) queue.push(waiter(end));
    queue.release(4);
    expect(taken()).toEqual(["1 ok", "3 ok"]);
    expect(queue.size).toBe(1);
  });

  test("a retry of an earlier batch takes its place in the order", () => {
    const queue = new AckQueue();
    for (const end of [3, 5, 1, 4]) queue.push(waiter(end));
    queue.release(3);
    expect(taken()).toEqual(["1 ok", "3 ok"]);
    queue.release(5);
    expect(taken()).toEqual(["4 ok", "5 ok"]);
  });

  test("expire one by one, whatever their place", () => {
    const queue = new AckQueue();
    queue.push(waiter(1, 300));
    queue.push(waiter(2, 100));
    expect(queue.earliestDeadlineMs()).toBe(100);
    queue.expire(100, "REQUEST_TIMED_OUT");
    expect(taken()).toEqual(["2 REQUEST_TIMED_OUT"]);
    queue.failAll("NOT_LEADER_OR_FOLLOWER");
    expect(taken()).toEqual(["1 NOT_LEADER_OR_FOLLOWER"]);
    expect(queue.earliestDeadlineMs()).toBe(Number.POSITIVE_INFINITY);
  });

  test("thousands released one at a time leave nothing behind", () => {
    const queue = new AckQueue();
    for (let end = 1; end <= 5_000; end++) queue.push(waiter(end));
    for (let end = 1; end <= 5_000; end++) queue.release(end);
    expect(taken()).toHaveLength(5_000);
    expect(queue.size).toBe(0);
  });
});
