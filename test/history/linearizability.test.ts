/** The search itself, on a register of one number. */
import { describe, expect, it } from "vitest";
import { type Operation, search } from "./linearizability.ts";

function write(value: number, invokedAt: number, completedAt?: number): Operation<number> {
  return { invokedAt, completedAt, apply: () => value, effect: `write ${value}` };
}

function read(value: number, invokedAt: number, completedAt: number): Operation<number> {
  const apply = (state: number): number | undefined => (state === value ? state : undefined);
  return { invokedAt, completedAt, apply, effect: "read" };
}

function result(operations: readonly Operation<number>[], configurationsMax = 1_000): string {
  return search(operations, { initial: [0], textOf: String, configurationsMax }).type;
}

describe("the search for an order", () => {
  it("takes operations one after the other in their order", () => {
    expect(result([write(1, 0, 1), read(1, 2, 3)])).toBe("linearizable");
    expect(result([write(1, 0, 1), read(0, 2, 3)])).toBe("impossible");
  });

  it("tries every order of those that overlap", () => {
    const writes = [write(1, 0, 10), write(2, 1, 11), write(3, 2, 12)];
    expect(result([...writes, read(1, 13, 14)])).toBe("linearizable");
    expect(result([...writes, read(2, 3, 4), read(1, 5, 6), read(3, 13, 14)])).toBe("linearizable");
    expect(result([...writes, read(2, 3, 4), read(1, 5, 6), read(2, 13, 14)])).toBe("impossible");
  });

  it("lets one of unknown outcome happen late, once, or never", () => {
    const unknown = write(1, 0);
    expect(result([unknown, read(0, 1, 2), read(1, 3, 4)])).toBe("linearizable");
    expect(result([unknown, read(0, 1, 2)])).toBe("linearizable");
    expect(result([unknown, read(1, 1, 2), read(0, 3, 4)])).toBe("impossible");
    expect(result([unknown, write(2, 5, 6), read(1, 1, 2), read(2, 7, 8), read(1, 9, 10)])).toBe(
      "impossible",
    );
  });

  it("takes hundreds of unknown outcomes that do the same", () => {
    const unknown = Array.from({ length: 300 }, (_, index) => write(index % 2, index));
    const reads = Array.from({ length: 100 }, (_, index) =>
      read(index % 2, 400 + 2 * index, 401 + 2 * index),
    );
    expect(result([...unknown, ...reads])).toBe("linearizable");
  });

  it("takes many unknown outcomes that do different things", () => {
    const unknown = Array.from({ length: 40 }, (_, index) => write(index, index));
    const reads = Array.from({ length: 30 }, (_, index) =>
      read((index * 7) % 40, 100 + 2 * index, 101 + 2 * index),
    );
    expect(result([...unknown, ...reads])).toBe("linearizable");
    // Each of them happens once at most.
    expect(result([...unknown, ...reads, read(7, 200, 201)])).toBe("impossible");
  });

  it("gives up at its bound", () => {
    const writes = Array.from({ length: 12 }, (_, index) => write(index, 0, 100));
    expect(result(writes)).toBe("unknown");
  });
});
