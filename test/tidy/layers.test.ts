/**
 * The architecture as data: who may import whom, and what of the outside world. A new edge needs
 * its reason in the commit that adds it. The test first proves that it sees the files, because a
 * check that sees nothing passes everything.
 */
import { describe, expect, it } from "vitest";
import { filesBelow, importsOf, roomOf } from "./source-files.ts";

interface Layer {
  readonly kind: "pure" | "types" | "host" | "edge" | "generated";
  readonly rooms: readonly string[];
  readonly outside: readonly string[];
}

const PURE = ["base", "model", "record", "raft", "metadata", "replica", "group", "kafka-wire"];
const HOSTS = ["storage", "runtime", "controller", "broker", "api/kafka"];
const EVERYTHING = [
  ...PURE,
  ...HOSTS,
  "ports",
  "adapters",
  "api/grpc",
  "api/http",
  "api/kafka",
  "client",
  "testing",
  "cli",
  "main",
  "gen",
];

const LAYERS: Readonly<Record<string, Layer>> = {
  base: { kind: "pure", rooms: [], outside: [] },
  model: { kind: "pure", rooms: ["base"], outside: [] },
  record: { kind: "pure", rooms: ["base", "model"], outside: [] },
  raft: { kind: "pure", rooms: ["base", "model"], outside: [] },
  metadata: { kind: "pure", rooms: ["base", "model"], outside: [] },
  replica: { kind: "pure", rooms: ["base", "model", "record", "metadata"], outside: [] },
  group: { kind: "pure", rooms: ["base", "model", "record"], outside: [] },
  "kafka-wire": { kind: "pure", rooms: ["base", "model", "gen"], outside: [] },
  ports: { kind: "types", rooms: ["base", "model", "raft", "metadata", "replica"], outside: [] },
  storage: {
    kind: "host",
    rooms: ["base", "model", "record", "raft", "replica", "ports"],
    outside: [],
  },
  runtime: { kind: "host", rooms: [...PURE, "ports", "storage"], outside: [] },
  controller: {
    kind: "host",
    rooms: ["base", "model", "metadata", "ports", "runtime"],
    outside: [],
  },
  broker: {
    kind: "host",
    rooms: [...PURE, "ports", "storage", "runtime", "controller"],
    outside: [],
  },
  grpc: {
    kind: "edge",
    rooms: ["base", "model"],
    outside: ["node:", "@grpc/grpc-js", "protobufjs"],
  },
  adapters: {
    kind: "edge",
    rooms: ["base", "model", "record", "raft", "metadata", "replica", "ports", "grpc", "gen"],
    outside: [
      "node:",
      "@grpc/grpc-js",
      "classic-level",
      "@node-rs/crc32",
      "snappy",
      "lz4-napi",
      "@bokuweb/zstd-wasm",
      "pino",
      "prom-client",
      "protobufjs",
    ],
  },
  "api/grpc": {
    kind: "edge",
    rooms: ["base", "model", "record", "metadata", "group", "ports", "broker", "grpc", "gen"],
    outside: ["node:", "@grpc/grpc-js", "@grpc/reflection", "grpc-health-check", "protobufjs"],
  },
  "api/kafka": {
    kind: "host",
    rooms: ["base", "model", "record", "metadata", "group", "kafka-wire", "ports", "broker"],
    outside: [],
  },
  "api/http": {
    kind: "edge",
    rooms: ["base", "model", "ports", "broker"],
    outside: ["node:", "prom-client"],
  },
  client: {
    kind: "edge",
    rooms: ["base", "model", "record", "group", "ports", "adapters", "api/grpc", "gen"],
    outside: ["@grpc/grpc-js"],
  },
  testing: { kind: "edge", rooms: EVERYTHING, outside: ["node:"] },
  cli: {
    kind: "edge",
    rooms: EVERYTHING,
    outside: ["node:", "commander", "cli-progress", "cli-table3"],
  },
  main: { kind: "edge", rooms: EVERYTHING, outside: ["node:"] },
};

/** Words that let time, chance or the event loop in; with what to use instead. */
const BANNED: readonly (readonly [RegExp, string])[] = [
  [/\bDate\.now\b|\bnew Date\(\)/, "ports.clock.wallMs()"],
  [/\bperformance\.now\b|\bprocess\.hrtime\b/, "ports.clock.monotonicMs()"],
  [/\bMath\.random\b|\bcrypto\.random|\brandomUUID\b|\brandomBytes\b/, "ports.random"],
  [
    /\bset(Timeout|Interval|Immediate)\(|\bprocess\.nextTick\b|AbortSignal\.timeout/,
    "ports.timers",
  ],
  [/\bBuffer\.(from|alloc|concat|allocUnsafe)\b/, "base/bytes.ts"],
  [/\bWeakRef\b|\bFinalizationRegistry\b/, "an owner that closes what it opened"],
];
const BANNED_IN_PURE: readonly (readonly [RegExp, string])[] = [
  [/\basync\b|\bawait\b|\bPromise\b/, "a decision that returns its effects as values"],
];

const files = filesBelow("src", ".ts");

/** The code without comments and strings, so that a sentence about `async` is no violation. */
function codeOf(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\/|\/\/.*$|`(?:\\.|[^`\\])*`|"(?:\\.|[^"\\\n])*"/gm, "");
}

describe("layers", () => {
  it("sees the source files, and every room of the table", () => {
    expect(files.length).toBeGreaterThan(40);
    const rooms = new Set(files.map(roomOf));
    expect(rooms).toEqual(new Set(Object.keys(LAYERS)));
    const edges = files.flatMap((file) => importsOf(file));
    expect(edges.length).toBeGreaterThan(100);
  });

  it("catches a planted violation", () => {
    expect(violationsOf("raft", [{ target: "../storage/log.ts", room: "storage" }])).toHaveLength(
      1,
    );
    expect(violationsOf("storage", [{ target: "node:fs", room: undefined }])).toHaveLength(1);
    expect(violationsOf("raft", [{ target: "../base/assert.ts", room: "base" }])).toHaveLength(0);
  });

  it("has no import that the table does not allow", () => {
    const found = files.flatMap((file) =>
      violationsOf(roomOf(file), importsOf(file)).map((violation) => `${file}: ${violation}`),
    );
    expect(found).toEqual([]);
  });
});

describe("purity", () => {
  it("sees what it bans", () => {
    expect(bansOf("const x = Date.now();", BANNED)).toHaveLength(1);
    expect(
      bansOf("// Date.now() is banned\n/* await */ const x = 1;", [...BANNED, ...BANNED_IN_PURE]),
    ).toEqual([]);
    expect(bansOf("async function f() {}", BANNED_IN_PURE)).toHaveLength(1);
  });

  it("lets no clock, chance or timer into the rooms that the simulator runs", async () => {
    const { textOf } = await import("./source-files.ts");
    const found = files.flatMap((file) => {
      const kind = LAYERS[roomOf(file)]?.kind;
      if (kind !== "pure" && kind !== "host" && kind !== "types") return [];
      const bans = kind === "pure" ? [...BANNED, ...BANNED_IN_PURE] : BANNED;
      return bansOf(textOf(file), bans).map((ban) => `${file}: ${ban}`);
    });
    expect(found).toEqual([]);
  });
});

function violationsOf(room: string, imports: ReturnType<typeof importsOf>): string[] {
  const layer = LAYERS[room];
  if (layer === undefined) return [`room ${room} is not in the table`];
  return imports.flatMap(({ target, room: other }) => {
    if (other === undefined) {
      const allowed = layer.outside.some((name) =>
        name.endsWith(":")
          ? target.startsWith(name)
          : target === name || target.startsWith(`${name}/`),
      );
      return allowed ? [] : [`imports ${target} from outside`];
    }
    return other === room || layer.rooms.includes(other)
      ? []
      : [`imports ${target} (room ${other})`];
  });
}

function bansOf(text: string, bans: typeof BANNED): string[] {
  const code = codeOf(text);
  return bans.flatMap(([pattern, instead]) => {
    const match = pattern.exec(code);
    return match === null ? [] : [`${match[0]} (use ${instead})`];
  });
}
