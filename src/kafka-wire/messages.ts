/**
 * Requests and responses of Kafka's protocol as values. A frame here is what follows its four bytes of
 * size; what is encoded begins with them.
 *
 * Reading answers with a value or a refusal and never throws for what a peer has sent. Bytes behind a
 * message are let be, as Kafka does: librdkafka sends three after a Metadata request for all topics.
 * Writing drops a field that the version does not have: whoever answers need not know which version
 * asks, and whoever asks chooses the version.
 */
import {
  REQUEST_READERS,
  REQUEST_WRITERS,
  RESPONSE_READERS,
  RESPONSE_WRITERS,
  type RequestInputs,
  type Requests,
  type ResponseInputs,
  type Responses,
} from "../gen/kafka/messages.ts";
import { APIS, type ApiName, apiOfKey, hasVersion, isFlexible } from "./api-keys.ts";
import { MalformedFrame, WireReader } from "./reader.ts";
import { WireWriter } from "./writer.ts";

export type { RequestInputs, Requests, ResponseInputs, Responses };

/** `reason` says what is wrong with the frame, for a log line. */
export type Decoded<Value> =
  | { readonly ok: true; readonly value: Value }
  | { readonly ok: false; readonly reason: string };

export interface RequestHeader {
  readonly apiKey: number;
  readonly apiVersion: number;
  readonly correlationId: number;
  /** The API of that key, or undefined for one that has no codec. */
  readonly api: ApiName | undefined;
  /** Whether its codec has the version. If not, the rest of the frame cannot be read. */
  readonly supported: boolean;
  /** null where the client gave none, and where it is not `supported`. */
  readonly clientId: string | null;
  /** Where the body begins in the frame. */
  readonly bodyAt: number;
}

export interface RequestFrame<Name extends ApiName> {
  readonly api: Name;
  /** One that the codec has (`hasVersion`). */
  readonly version: number;
  readonly correlationId: number;
  readonly clientId: string | null;
  readonly body: RequestInputs[Name];
}

export interface ResponseFrame<Name extends ApiName> {
  readonly api: Name;
  /** That of the request. */
  readonly version: number;
  readonly correlationId: number;
  readonly body: ResponseInputs[Name];
}

/** The header alone: what an answer to a request that cannot be read needs. */
export function decodeRequestHeader(frame: Uint8Array): Decoded<RequestHeader> {
  return attempt(() => {
    const reader = new WireReader(frame);
    const apiKey = reader.int16();
    const apiVersion = reader.int16();
    const correlationId = reader.int32();
    const api = apiOfKey(apiKey);
    const known = { apiKey, apiVersion, correlationId, api };
    if (api === undefined || !hasVersion(api, apiVersion)) {
      return { ...known, supported: false, clientId: null, bodyAt: reader.position };
    }
    // The client id keeps its old form in flexible headers, so that a broker can read it from any.
    const clientId = reader.nullableString();
    if (isFlexible(api, apiVersion)) reader.skipTags();
    return { ...known, supported: true, clientId, bodyAt: reader.position };
  });
}

/** The body of a request whose header is `supported`. Byte fields are views of the frame. */
export function decodeRequest<Name extends ApiName>(
  api: Name,
  version: number,
  frame: Uint8Array,
  bodyAt: number,
): Decoded<Requests[Name]> {
  if (!hasVersion(api, version)) return { ok: false, reason: `${api} has no version ${version}` };
  return attempt(() => REQUEST_READERS[api](new WireReader(frame, bodyAt), version));
}

/** The whole frame, its size first, in pieces; records are the views that were given. */
export function encodeResponse<Name extends ApiName>({
  api,
  version,
  correlationId,
  body,
}: ResponseFrame<Name>): Uint8Array[] {
  checkVersion(api, version);
  const writer = new WireWriter();
  writer.beginFrame();
  writer.int32(correlationId);
  if (hasTaggedHeader(api, version)) writer.uvarint(0);
  RESPONSE_WRITERS[api](writer, version, body);
  writer.endFrame();
  return writer.finish();
}

/** A client's side of `decodeRequest`. */
export function encodeRequest<Name extends ApiName>({
  api,
  version,
  correlationId,
  clientId,
  body,
}: RequestFrame<Name>): Uint8Array[] {
  checkVersion(api, version);
  const writer = new WireWriter();
  writer.beginFrame();
  writer.int16(APIS[api].key);
  writer.int16(version);
  writer.int32(correlationId);
  writer.nullableString(clientId);
  if (isFlexible(api, version)) writer.uvarint(0);
  REQUEST_WRITERS[api](writer, version, body);
  writer.endFrame();
  return writer.finish();
}

/** A client's side of `encodeResponse`: the correlation id says which request, and so which API. */
export function decodeResponse<Name extends ApiName>(
  api: Name,
  version: number,
  frame: Uint8Array,
): Decoded<{ readonly correlationId: number; readonly body: Responses[Name] }> {
  if (!hasVersion(api, version)) return { ok: false, reason: `${api} has no version ${version}` };
  return attempt(() => {
    const reader = new WireReader(frame);
    const correlationId = reader.int32();
    if (hasTaggedHeader(api, version)) reader.skipTags();
    return { correlationId, body: RESPONSE_READERS[api](reader, version) };
  });
}

/** ApiVersions answers with the oldest header always: its client does not know what we speak yet. */
function hasTaggedHeader(api: ApiName, version: number): boolean {
  return api !== "ApiVersions" && isFlexible(api, version);
}

function checkVersion(api: ApiName, version: number): void {
  if (hasVersion(api, version)) return;
  const { lowest, highest } = APIS[api];
  throw new RangeError(`${api} version ${version}: ${lowest} to ${highest} are allowed`);
}

function attempt<Value>(read: () => Value): Decoded<Value> {
  try {
    return { ok: true, value: read() };
  } catch (thrown) {
    if (thrown instanceof MalformedFrame) return { ok: false, reason: thrown.message };
    throw thrown;
  }
}
