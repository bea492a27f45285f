import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { FrameSplitter } from "../../../src/api/kafka/frames.ts";
import { concatBytes, utf8, writeInt32 } from "../../../src/base/bytes.ts";

const LIMIT_BYTES = 1_000;

function framed(body: Uint8Array): Uint8Array {
  const out = new Uint8Array(4 + body.length);
  writeInt32(out, 0, body.length);
  out.set(body, 4);
  return out;
}

function length(size: number, rest = 0): Uint8Array {
  const out = new Uint8Array(4 + rest);
  writeInt32(out, 0, size);
  return out;
}

describe("FrameSplitter", () => {
  it("gives back the frames, however the stream was cut", () => {
    const bodies = fc.array(fc.uint8Array({ minLength: 10, maxLength: 60 }), { maxLength: 8 });
    fc.assert(
      fc.property(bodies, fc.array(fc.integer({ min: 1, max: 30 })), (frames, cuts) => {
        const splitter = new FrameSplitter(LIMIT_BYTES);
        const stream = concatBytes([new Uint8Array(0), ...frames.map(framed)]);
        const got: Uint8Array[] = [];
        let at = 0;
        for (const size of [...cuts, stream.length]) {
          const taken = splitter.take(stream.slice(at, at + size));
          expect(taken.refusal).toBeUndefined();
          got.push(...taken.frames);
          at += size;
        }
        expect(got.map((frame) => [...frame])).toEqual(frames.map((frame) => [...frame]));
        expect(splitter.heldBytes).toBe(0);
      }),
    );
  });

  it("copies nothing of a frame that lies in one chunk", () => {
    const chunk = framed(new Uint8Array(100));
    const [frame] = new FrameSplitter(LIMIT_BYTES).take(chunk).frames;
    expect(frame?.buffer).toBe(chunk.buffer);
  });

  it("holds what has arrived, not what a length claims", () => {
    const splitter = new FrameSplitter(2 ** 31 - 1);
    expect(splitter.take(length(2 ** 31 - 1, 6))).toEqual({ frames: [], refusal: undefined });
    expect(splitter.heldBytes).toBe(10);
  });

  it.each([
    ["too-large", length(LIMIT_BYTES + 1)],
    ["too-small", length(9)],
    ["too-small", length(0)],
    ["too-small", length(-1)],
    ["http", utf8("GET / HTTP/1.1\r\n\r\n")],
    ["http", utf8("PUT /x HTTP/1.1\r\n\r\n")],
    ["http", utf8("PRI * HTTP/2.0\r\n\r\n")],
    ["tls", Uint8Array.of(0x16, 0x03, 0x01, 0x02, 0x00, 0x01)],
  ])("refuses what is no request: %s", (refusal, bytes) => {
    expect(new FrameSplitter(LIMIT_BYTES).take(bytes)).toEqual({ frames: [], refusal });
  });

  it("takes for a length what looks like text, once requests have come", () => {
    const splitter = new FrameSplitter(2 ** 31 - 1);
    const [frame] = splitter.take(framed(new Uint8Array(20))).frames;
    expect(frame).toHaveLength(20);
    expect(splitter.take(utf8("GET /")).refusal).toBeUndefined();
  });

  it("gives back what is whole before a refusal", () => {
    const bytes = concatBytes([framed(new Uint8Array(20)), length(LIMIT_BYTES + 1)]);
    const taken = new FrameSplitter(LIMIT_BYTES).take(bytes);
    expect(taken.frames).toHaveLength(1);
    expect(taken.refusal).toBe("too-large");
  });
});
