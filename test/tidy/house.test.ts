/** House rules that a person would forget: sizes, leftovers, lock file, texts that must agree. */
import { describe, expect, it } from "vitest";
import { ERRORS } from "../../src/model/errors.ts";
import { COUNTERS, GAUGES, HISTOGRAMS } from "../../src/model/metrics.ts";
import { filesBelow, textOf } from "./source-files.ts";

const sources = [
  ...filesBelow("src", ".ts"),
  ...filesBelow("test", ".ts"),
  ...filesBelow("bench", ".ts"),
];

describe("house", () => {
  it("sees the files", () => {
    expect(sources.length).toBeGreaterThan(60);
  });

  it("keeps every file below 800 lines", () => {
    const long = sources.filter((file) => textOf(file).split("\n").length > 800);
    expect(long).toEqual([]);
  });

  it("leaves nothing for later in the product", () => {
    const leftover = new RegExp(
      ["TO" + "DO", "FIX" + "ME", "X" + "XX", "not implemented"].join("|"),
    );
    const found = filesBelow("src", ".ts").filter((file) => leftover.test(textOf(file)));
    expect(found).toEqual([]);
  });

  it("skips no test and runs none alone", () => {
    const pattern = new RegExp("\\b(it|test|describe)\\." + "(skip|only|todo)\\b");
    expect(filesBelow("test", ".ts").filter((file) => pattern.test(textOf(file)))).toEqual([]);
  });

  it("names no registry in the lock file", () => {
    expect(textOf("package-lock.json")).not.toMatch(/"resolved": *"http/);
  });

  it("pins every dependency exactly", () => {
    const manifest = JSON.parse(textOf("package.json")) as Record<string, Record<string, string>>;
    const versions = { ...manifest["dependencies"], ...manifest["devDependencies"] };
    expect(Object.keys(versions).length).toBeGreaterThan(10);
    const loose = Object.entries(versions).filter(
      ([, version]) => !/^\d+\.\d+\.\d+$/.test(version),
    );
    expect(loose).toEqual([]);
  });

  it("uses every error of the table, and every metric of the catalogue", () => {
    const text = filesBelow("src", ".ts")
      .filter((file) => file !== "src/model/errors.ts" && file !== "src/model/metrics.ts")
      .map(textOf)
      .join("\n");
    const names = [
      ...Object.keys(ERRORS),
      ...Object.keys(COUNTERS),
      ...Object.keys(GAUGES),
      ...Object.keys(HISTOGRAMS),
    ];
    const unused = names.filter(
      (name) => !text.includes(`"${name}"`) && !text.includes(`${name}:`),
    );
    expect(unused).toEqual([]);
  });
});
