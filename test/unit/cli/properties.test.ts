import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { formatProperties } from "../../../src/main/local-cluster.ts";
import { parseAssignment, parseProperties } from "../../../src/main/properties.ts";
import { OttlaError } from "../../../src/model/errors.ts";

function parse(text: string): Record<string, string> {
  return Object.fromEntries(parseProperties(text, "broker.properties"));
}

function refusal(text: string): OttlaError {
  try {
    parseProperties(text, "broker.properties");
  } catch (thrown) {
    if (thrown instanceof OttlaError) return thrown;
    throw thrown;
  }
  throw new Error("nothing was refused");
}

describe("parseProperties", () => {
  it("reads keys and values as Java does", () => {
    expect(
      parse(
        [
          "# a comment",
          "! another = one",
          "",
          "node.id=1",
          "  log.dirs = /var/a,/var/b",
          "listeners: GRPC://:9192",
          "broker.rack east",
          "empty=",
          "long=one,\\",
          "    two",
          "path=C:\\\\data",
          "unicode=\\u00e9\\ttab",
          "key\\ with\\=signs = value = with = signs",
          "windows=line\r",
        ].join("\n"),
      ),
    ).toEqual({
      "node.id": "1",
      "log.dirs": "/var/a,/var/b",
      listeners: "GRPC://:9192",
      "broker.rack": "east",
      empty: "",
      long: "one,two",
      path: "C:\\data",
      unicode: "é\ttab",
      "key with=signs": "value = with = signs",
      windows: "line",
    });
  });

  it("does not take an escaped backslash at the end for a continuation", () => {
    expect(parse("a=x\\\\\nb=y")).toEqual({ a: "x\\", b: "y" });
  });

  it("names the file and the line of a mistake", () => {
    const missing = refusal("node.id=1\n\nlisteners\n");
    expect(missing.code).toBe("CONFIG_UNREADABLE");
    expect(missing.message).toContain('broker.properties, line 3: "listeners" has no value');
    expect(refusal("=5").message).toContain("line 1: there is no key");
    expect(refusal("a=1\nb=2\na=3").message).toContain("line 3");
    expect(refusal("a=1\nb=2\na=3").message).toContain("on line 1");
    expect(refusal("a=\\u12").message).toContain("four hexadecimal digits");
  });

  it("reads back what formatProperties writes", () => {
    const key = fc.stringMatching(/^[a-z][a-z.]{0,20}$/);
    fc.assert(
      fc.property(fc.dictionary(key, fc.string()), (properties) => {
        const map = new Map(Object.entries(properties));
        expect(parseProperties(formatProperties(map), "test")).toEqual(map);
      }),
    );
  });
});

describe("parseAssignment", () => {
  it("splits at the first sign", () => {
    expect(parseAssignment("listeners=A://:1=2", "--set")).toEqual(["listeners", "A://:1=2"]);
    expect(() => parseAssignment("listeners", "--set")).toThrow(/no key=value/);
    expect(() => parseAssignment("=x", "--set")).toThrow(/no key=value/);
  });
});
