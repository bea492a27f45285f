/**
 * Frames that nobody should send, to the codec: those of every API in every version, damaged. Either a
 * value comes out or a refusal; and a value that came out can be written and read again.
 */
import { isDeepStrictEqual } from "node:util";
import { concatBytes } from "../../src/base/bytes.ts";
import { Prng } from "../../src/base/prng.ts";
import { API_NAMES, APIS, type ApiName } from "../../src/kafka-wire/api-keys.ts";
import {
  type Decoded,
  decodeRequest,
  decodeRequestHeader,
  decodeResponse,
  encodeRequest,
  encodeResponse,
  type RequestInputs,
  type ResponseInputs,
} from "../../src/kafka-wire/messages.ts";
import { oracleApis, randomMessage } from "../support/kafka-oracle.ts";

export interface FuzzResult {
  readonly inputs: number;
  /** Inputs that were read in spite of their damage. */
  readonly accepted: number;
  readonly refused: number;
  /** How often each kind of refusal came, with its numbers taken out. */
  readonly refusals: ReadonlyMap<string, number>;
}

export interface FuzzOptions {
  readonly seed: number;
  readonly inputs: number;
  /** Called now and then with how many are done. */
  readonly onProgress?: (done: number) => void;
}

export interface Sample {
  readonly api: ApiName;
  readonly version: number;
  readonly part: "request" | "response";
  readonly frame: Uint8Array;
}

const SAMPLES_PER_MESSAGE = 6;
/** One in so many values that came out is written and read again. */
const REPEATED = 16;
/** Where lengths are read, what they may claim. */
const CLAIMS: readonly (readonly number[])[] = [
  [0x7f, 0xff, 0xff, 0xff],
  [0x80, 0, 0, 0],
  [0xff, 0xff, 0xff, 0xfe],
  [0xff, 0xff, 0xff, 0xff],
  [0xff, 0xff, 0xff, 0xff, 0x0f],
  [0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
  [0x80, 0x80, 0x80, 0x80, 0x00],
  [0x7f, 0xff],
  [0x80, 0x00],
  [0, 0, 0, 0],
  [0x40, 0, 0, 0],
];

/** Throws, with the input and how to repeat it, at the first that the codec does not stand. */
export function fuzzKafkaWire(options: FuzzOptions): FuzzResult {
  // Half the inputs throw inside the codec, and the stacks of those would be a third of the time.
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 0;
  try {
    return fuzz(options);
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
}

function fuzz({ seed, inputs, onProgress }: FuzzOptions): FuzzResult {
  const chance = new Prng(seed);
  const samples = makeSamples(chance.fork("samples"));
  const refusals = new Map<string, number>();
  let accepted = 0;
  for (let index = 0; index < inputs; index++) {
    const sample = chance.pick(samples);
    const frame = damage(sample.frame, chance.pick(samples).frame, chance);
    let read: Decoded<unknown>;
    try {
      read = attempt(sample, frame, accepted % REPEATED === 0);
    } catch (thrown) {
      const { api, version, part } = sample;
      const bytes = Buffer.from(frame).toString("hex");
      const what = `${api} ${part} ${version}, input ${index} of seed ${seed}: ${bytes}`;
      throw new Error(what, { cause: thrown });
    }
    if (read.ok) accepted++;
    else {
      const kind = read.reason.replace(/-?\d+/g, "n");
      refusals.set(kind, (refusals.get(kind) ?? 0) + 1);
    }
    if (index % 100_000 === 99_999) onProgress?.(index + 1);
  }
  return { inputs, accepted, refused: inputs - accepted, refusals };
}

export function makeSamples(chance: Prng): Sample[] {
  const definitions = new Map(oracleApis().map((each) => [each.name, each]));
  return API_NAMES.flatMap((api) => {
    const definition = definitions.get(api);
    if (definition === undefined) throw new Error(`${api} is not in the tables`);
    const out: Sample[] = [];
    for (let version = APIS[api].lowest; version <= APIS[api].highest; version++) {
      for (let round = 0; round < SAMPLES_PER_MESSAGE; round++) {
        const asked = randomMessage(definition.request, version, chance);
        const request = encodeRequest({
          api,
          version,
          correlationId: round,
          clientId: "fuzz",
          body: asked as unknown as RequestInputs[ApiName],
        });
        const told = randomMessage(definition.response, version, chance);
        const body = told as unknown as ResponseInputs[ApiName];
        const response = encodeResponse({ api, version, correlationId: round, body });
        out.push({ api, version, part: "request", frame: concatBytes(request).slice(4) });
        out.push({ api, version, part: "response", frame: concatBytes(response).slice(4) });
      }
    }
    return out;
  });
}

export function damage(frame: Uint8Array, other: Uint8Array, chance: Prng): Uint8Array {
  const kind = chance.below(8);
  if (kind === 0) return frame.subarray(0, chance.below(frame.length + 1));
  if (kind === 1) return Uint8Array.from({ length: chance.below(64) }, () => chance.below(256));
  const at = chance.below(frame.length);
  if (kind === 2)
    return concatBytes([frame.subarray(0, at), other.subarray(chance.below(other.length))]);
  if (kind === 3) {
    const more = Uint8Array.from({ length: 1 + chance.below(4) }, () => chance.below(256));
    return concatBytes([frame.subarray(0, at), more, frame.subarray(at)]);
  }
  const out = frame.slice();
  if (kind <= 5) out.set(chance.pick(CLAIMS).slice(0, out.length - at), at);
  else {
    for (let flips = 1 + chance.below(4); flips > 0; flips--) {
      const place = chance.below(out.length);
      out[place] = (out[place] as number) ^ (1 << chance.below(8));
    }
  }
  return out;
}

function attempt(sample: Sample, frame: Uint8Array, repeat: boolean): Decoded<unknown> {
  const { api, version } = sample;
  if (sample.part === "response") {
    const read = decodeResponse(api, version, frame);
    if (!read.ok || !repeat) return read;
    const { correlationId, body } = read.value;
    const chunks = encodeResponse({ api, version, correlationId, body });
    return mustAgree(read, decodeResponse(api, version, concatBytes(chunks).subarray(4)));
  }
  const header = decodeRequestHeader(frame);
  if (!header.ok || header.value.api === undefined || !header.value.supported) return header;
  // Damage may have made another request of it: then it is read as that.
  const { api: named, apiVersion, bodyAt } = header.value;
  const read = decodeRequest(named, apiVersion, frame, bodyAt);
  if (!read.ok || !repeat) return read;
  const request = { api: named, version: apiVersion, correlationId: 0, clientId: null };
  const again = concatBytes(encodeRequest({ ...request, body: read.value })).subarray(4);
  const headerAgain = decodeRequestHeader(again);
  if (!headerAgain.ok) throw new Error(`its header is refused: ${headerAgain.reason}`);
  return mustAgree(read, decodeRequest(named, apiVersion, again, headerAgain.value.bodyAt));
}

function mustAgree<Value>(read: Decoded<Value>, again: Decoded<Value>): Decoded<Value> {
  if (!isDeepStrictEqual(read, again)) throw new Error("written and read again, it is another");
  return read;
}
