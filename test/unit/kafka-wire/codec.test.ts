/** The generated codec against the interpreter of the tables, and against bytes written by hand. */
import { describe, expect, it } from "vitest";
import { concatBytes } from "../../../src/base/bytes.ts";
import { Prng } from "../../../src/base/prng.ts";
import {
  API_NAMES,
  APIS,
  type ApiName,
  advertisedRange,
  apiOfKey,
  isFlexible,
} from "../../../src/kafka-wire/api-keys.ts";
import {
  decodeRequest,
  decodeRequestHeader,
  decodeResponse,
  encodeRequest,
  encodeResponse,
  type RequestInputs,
  type ResponseInputs,
} from "../../../src/kafka-wire/messages.ts";
import { encodeMessage, oracleApis, randomMessage } from "../../support/kafka-oracle.ts";

const ROUNDS = 12;

function versionsOf(api: ApiName): number[] {
  const { lowest, highest } = APIS[api];
  return Array.from({ length: highest - lowest + 1 }, (_, index) => lowest + index);
}

function hex(chunks: readonly Uint8Array[]): string {
  return Buffer.from(concatBytes(chunks)).toString("hex");
}

function bytesOf(...parts: readonly string[]): Uint8Array {
  return new Uint8Array(Buffer.from(parts.join("").replaceAll(" ", ""), "hex"));
}

function ascii(text: string): string {
  return Buffer.from(text, "ascii").toString("hex");
}

describe("the codec and the interpreter of the tables", () => {
  const oracle = oracleApis();

  it("know the same APIs", () => {
    expect(oracle.length).toBe(35);
    for (const { name, key, versions, flexible } of oracle) {
      const api = apiOfKey(key) as ApiName;
      expect(api).toBe(name);
      expect([APIS[api].lowest, APIS[api].highest]).toEqual(versions);
      for (const version of versionsOf(api)) {
        expect(isFlexible(api, version)).toBe(version >= flexible);
      }
    }
    expect(new Set(oracle.map(({ name }) => name))).toEqual(new Set<string>(API_NAMES));
  });

  for (const definition of oracle) {
    const api = definition.name as ApiName;
    it(`agree on ${api} in every version, both ways`, () => {
      const chance = new Prng(definition.key);
      for (const version of versionsOf(api)) {
        const flexible = version >= definition.flexible;
        for (let round = 0; round < ROUNDS; round++) {
          const asked = randomMessage(definition.request, version, chance);
          const request = encodeRequest({
            api,
            version,
            correlationId: round,
            clientId: round === 0 ? null : "client",
            body: asked as unknown as RequestInputs[ApiName],
          });
          const frame = concatBytes(request).subarray(4);
          const header = decodeRequestHeader(frame);
          if (!header.ok) throw new Error(header.reason);
          expect(header.value).toMatchObject({ api, apiVersion: version, supported: true });
          const wanted = encodeMessage(definition.request, { version, flexible }, asked);
          expect(Buffer.compare(frame.subarray(header.value.bodyAt), wanted)).toBe(0);
          const read = decodeRequest(api, version, frame, header.value.bodyAt);
          expect(read).toEqual({ ok: true, value: asked });

          const answer = randomMessage(definition.response, version, chance);
          const body = answer as unknown as ResponseInputs[ApiName];
          const told = encodeResponse({ api, version, correlationId: -7, body });
          const whole = concatBytes(told);
          expect([...whole.subarray(0, 4)]).toEqual([...sizeOf(whole.length - 4)]);
          const tagged = flexible && api !== "ApiVersions" ? [0] : [];
          const expected = Buffer.concat([
            Buffer.of(0xff, 0xff, 0xff, 0xf9, ...tagged),
            encodeMessage(definition.response, { version, flexible }, answer),
          ]);
          expect(Buffer.compare(whole.subarray(4), expected)).toBe(0);
          const heard = decodeResponse(api, version, whole.subarray(4));
          expect(heard).toEqual({ ok: true, value: { correlationId: -7, body: answer } });
        }
      }
    });
  }
});

function sizeOf(value: number): Uint8Array {
  const out = Buffer.alloc(4);
  out.writeInt32BE(value);
  return out;
}

describe("frames by hand", () => {
  it("reads the first frame of librdkafka, ApiVersions 3 with its flexible header", () => {
    const frame = bytesOf(
      "0012 0003 00000001",
      `0007 ${ascii("rdkafka")} 00`,
      `0b ${ascii("librdkafka")} 06 ${ascii("2.0.2")} 00`,
    );
    const header = decodeRequestHeader(frame);
    expect(header).toEqual({
      ok: true,
      value: {
        apiKey: 18,
        apiVersion: 3,
        correlationId: 1,
        api: "ApiVersions",
        supported: true,
        clientId: "rdkafka",
        bodyAt: 18,
      },
    });
    expect(decodeRequest("ApiVersions", 3, frame, 18)).toEqual({
      ok: true,
      value: { clientSoftwareName: "librdkafka", clientSoftwareVersion: "2.0.2" },
    });
  });

  it("answers ApiVersions with the oldest header, in every version", () => {
    const body = { errorCode: 35, apiKeys: [{ apiKey: 18, minVersion: 0, maxVersion: 4 }] };
    const answer = (version: number): string =>
      hex(encodeResponse({ api: "ApiVersions", version, correlationId: 9, body }));
    expect(answer(0)).toBe("00000010 00000009 0023 00000001 0012 0000 0004".replaceAll(" ", ""));
    expect(answer(3)).toBe(
      "00000013 00000009 0023 02 0012 0000 0004 00 00000000 00".replaceAll(" ", ""),
    );
  });

  it("writes a Produce request of version 3 as a client from 2017 does", () => {
    const records = Uint8Array.of(1, 2, 3);
    const chunks = encodeRequest({
      api: "Produce",
      version: 3,
      correlationId: 2,
      clientId: null,
      body: {
        acks: -1,
        timeoutMs: 1_500,
        topicData: [{ name: "t", topicId: "", partitionData: [{ index: 7, records }] }],
      },
    });
    expect(hex(chunks)).toBe(
      "00000028 0000 0003 00000002 ffff ffff ffff 000005dc 00000001 0001 74 00000001 00000007 00000003 010203".replaceAll(
        " ",
        "",
      ),
    );
  });

  it("reads topic ids and tagged fields of a Fetch request of version 17", () => {
    const frame = bytesOf(
      "0001 0011 00000003 ffff 00",
      "000001f4 00000001 7fffffff 00 00000000 ffffffff",
      "02 00112233445566778899aabbccddeeff 02 00000005 00000002 0000000000000100 ffffffff",
      "ffffffffffffffff 00100000 00 00",
      "01 01",
      "02 00 02 0263 09 02 abcd",
    );
    const read = decodeRequest("Fetch", 17, frame, 11);
    expect(read.ok && read.value).toMatchObject({
      clusterId: "c",
      replicaId: -1,
      replicaState: undefined,
      maxWaitMs: 500,
      sessionEpoch: -1,
      topics: [
        {
          topic: "",
          topicId: Buffer.from("00112233445566778899aabbccddeeff", "hex").toString("base64url"),
          partitions: [{ partition: 5, currentLeaderEpoch: 2, fetchOffset: 256 }],
        },
      ],
    });
  });

  it("hands records on as they are, in pieces that make the frame", () => {
    const large = new Uint8Array(5_000).fill(1);
    const small = new Uint8Array(10).fill(2);
    const chunks = encodeResponse({
      api: "Fetch",
      version: 12,
      correlationId: 1,
      body: {
        errorCode: 0,
        responses: [0, 1].map((partitionIndex) => ({
          topic: "t",
          topicId: "",
          partitions: [
            {
              partitionIndex,
              errorCode: 0,
              highWatermark: 3,
              abortedTransactions: null,
              records: [large, small, large],
            },
          ],
        })),
      },
    });
    expect(chunks.filter((chunk) => chunk === large)).toHaveLength(4);
    expect(chunks.length).toBe(9);
    const read = decodeResponse("Fetch", 12, concatBytes(chunks).subarray(4));
    const sent = concatBytes([large, small, large]);
    expect(read.ok && read.value.body.responses.map((each) => each.partitions[0]?.records)).toEqual(
      [sent, sent],
    );
  });

  it("keeps the largest and smallest 64 bits, which no number holds exactly", () => {
    for (const timestamp of ["7fffffffffffffff", "8000000000000000", "ffffffffffffffff"]) {
      const frame = bytesOf("ffffffff 00000001 0001 74 00000001 00000000", timestamp);
      const read = decodeRequest("ListOffsets", 1, frame, 0);
      if (!read.ok) throw new Error(read.reason);
      const written = encodeRequest({
        api: "ListOffsets",
        version: 1,
        correlationId: 0,
        clientId: null,
        body: read.value,
      });
      expect(hex(written).endsWith(timestamp)).toBe(true);
    }
  });
});

describe("what is refused, and what is let be", () => {
  it("accepts bytes behind a message, as librdkafka leaves three", () => {
    const body = bytesOf("00 01 00 00 00", "000000");
    expect(decodeRequest("Metadata", 9, body, 0)).toMatchObject({
      ok: true,
      value: { topics: null },
    });
  });

  it("passes over tags that it does not know", () => {
    const body = bytesOf("01 01 00 00", "02 05 02 abcd 07 00");
    expect(decodeRequest("Metadata", 9, body, 0)).toMatchObject({
      ok: true,
      value: { topics: [] },
    });
  });

  it("refuses a tag given twice, out of order, too long, or of another size than it says", () => {
    const refused = (tags: string): string => {
      const read = decodeRequest("Metadata", 9, bytesOf("01 01 00 00", tags), 0);
      return read.ok ? "accepted" : read.reason;
    };
    expect(refused("02 05 00 05 00")).toBe("tagged field 5 after 5");
    expect(refused("02 05 00 04 00")).toBe("tagged field 4 after 5");
    expect(refused("01 05 09 ab")).toBe("a tagged field of 9 bytes where 1 are left");
    const start = "ffffffff 00000001 00000001 7fffffff 00 00000000 ffffffff 01 01 01";
    const fetch = decodeRequest("Fetch", 12, bytesOf(start, "01 00 03 0263 00"), 0);
    expect(fetch).toEqual({
      ok: false,
      reason: "a tagged field of another size than it claims",
    });
  });

  it("holds claimed lengths against what is there", () => {
    const reasons = [
      decodeRequest("Metadata", 1, bytesOf("7fffffff"), 0),
      decodeRequest("Metadata", 1, bytesOf("fffffffe"), 0),
      decodeRequest("Metadata", 9, bytesOf("ffffffff0f"), 0),
      decodeRequest("Metadata", 9, bytesOf("ffffffff1f"), 0),
      decodeRequest("Heartbeat", 0, bytesOf("7fff 61"), 0),
      decodeRequest("Heartbeat", 0, bytesOf("ffff"), 0),
      decodeRequest("Heartbeat", 0, bytesOf("fffe"), 0),
    ].map((read) => (read.ok ? "accepted" : read.reason));
    expect(reasons).toEqual([
      "a list of 2147483647 elements where 0 bytes are left",
      "a list of -2 elements where 0 bytes are left",
      "a list of 4294967294 elements where 0 bytes are left",
      "an unsigned varint that does not fit 32 bits",
      "32767 bytes expected where 1 are left",
      "null where none is allowed",
      "null where none is allowed",
    ]);
  });

  it("bounds what a frame of tiny elements becomes", () => {
    const count = 2_000_001;
    const frame = new Uint8Array(5 + count).fill(1);
    frame.set([0x82, 0x89, 0x7a], 0);
    const read = decodeRequest("DescribeGroups", 5, frame, 0);
    expect(read).toEqual({ ok: false, reason: "more than 2000000 list elements in one frame" });
  });

  it("says which request it was even where it cannot read it", () => {
    const unknown = decodeRequestHeader(bytesOf("03e7 0000 0000002a"));
    expect(unknown).toMatchObject({
      ok: true,
      value: { apiKey: 999, correlationId: 42, api: undefined, supported: false },
    });
    const newer = decodeRequestHeader(bytesOf("0012 0063 0000002a ffff"));
    expect(newer).toMatchObject({ ok: true, value: { api: "ApiVersions", supported: false } });
    expect(decodeRequestHeader(bytesOf("0012 0000 00")).ok).toBe(false);
    expect(decodeRequest("Produce", 2, new Uint8Array(100), 0)).toEqual({
      ok: false,
      reason: "Produce has no version 2",
    });
  });

  it("advertises Produce from 0, and all else as it is", () => {
    expect(advertisedRange("Produce")).toEqual({ lowest: 0, highest: 13 });
    expect(advertisedRange("Fetch")).toEqual({ lowest: 4, highest: 18 });
  });
});
