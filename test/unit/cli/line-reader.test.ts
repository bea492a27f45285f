import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { linesOf, recordOf } from "../../../src/cli/line-reader.ts";

async function* chunksOf(...chunks: readonly string[]): AsyncGenerator<Uint8Array> {
  for (const chunk of chunks) yield Buffer.from(chunk);
}

async function read(input: AsyncIterable<Uint8Array>): Promise<string[]> {
  const lines: string[] = [];
  for await (const some of linesOf(input)) {
    lines.push(...some.map((line) => Buffer.from(line).toString("latin1")));
  }
  return lines;
}

describe("linesOf", () => {
  it("keeps empty lines and a last line without its newline", async () => {
    expect(await read(chunksOf("a\n\nb\nc"))).toEqual(["a", "", "b", "c"]);
    expect(await read(chunksOf("a\n"))).toEqual(["a"]);
    expect(await read(chunksOf())).toEqual([]);
  });

  it("finds the same lines however the input is cut", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.stringMatching(/^[a-z]{0,8}$/), { minLength: 1 }),
        fc.array(fc.nat({ max: 12 })),
        async (lines, cuts) => {
          const bytes = Buffer.from(`${lines.join("\n")}\n`);
          async function* pieces(): AsyncGenerator<Uint8Array> {
            let from = 0;
            for (const cut of cuts) {
              yield bytes.subarray(from, from + cut);
              from += cut;
            }
            yield bytes.subarray(from);
          }
          expect(await read(pieces())).toEqual(lines);
        },
      ),
    );
  });

  it("refuses a line that no request could carry", async () => {
    async function* endless(): AsyncGenerator<Uint8Array> {
      for (;;) yield Buffer.alloc(1_048_576, 0x61);
    }
    await expect(read(endless())).rejects.toMatchObject({ code: "LIMIT_EXCEEDED" });
  });
});

describe("recordOf", () => {
  const bytes = (text: string): Buffer => Buffer.from(text);
  const parts = (line: string, separator?: string, nullValue?: string) => {
    const record = recordOf(bytes(line), {
      keySeparator: separator === undefined ? undefined : bytes(separator),
      nullValue: nullValue === undefined ? undefined : bytes(nullValue),
    });
    const text = (field: Uint8Array | null) => (field === null ? null : String(Buffer.from(field)));
    return record === undefined ? undefined : [text(record.key), text(record.value)];
  };

  it("takes a whole line for a value without a separator", () => {
    expect(parts("a:b")).toEqual([null, "a:b"]);
  });

  it("splits at the first separator, of any length", () => {
    expect(parts("k:v:w", ":")).toEqual(["k", "v:w"]);
    expect(parts("k=>v", "=>")).toEqual(["k", "v"]);
    expect(parts(":v", ":")).toEqual(["", "v"]);
    expect(parts("novalue", ":")).toBeUndefined();
  });

  it("makes a tombstone of the null value only", () => {
    expect(parts("k:NULL", ":", "NULL")).toEqual(["k", null]);
    expect(parts("k:NULLX", ":", "NULL")).toEqual(["k", "NULLX"]);
    expect(parts("", undefined, "")).toEqual([null, null]);
  });
});
