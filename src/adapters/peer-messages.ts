/**
 * Messages between brokers as bytes and back. What arrives malformed throws: the stream that it
 * came on then ends.
 */
import type { Buffer } from "node:buffer";
import { text, utf8 } from "../base/bytes.ts";
import { ottla } from "../gen/internal.js";
import { decodeMessage, encodeMessage } from "../grpc/messages.ts";
import type { ControllerRequestName } from "../metadata/commands.ts";
import type { ControllerDown, ControllerUp } from "../metadata/session-messages.ts";
import { isErrorCode, OttlaError } from "../model/errors.ts";
import type { PeerChannel, PeerChannels } from "../ports/peer-network.ts";
import type { ReplicationUp } from "../replica/messages.ts";
import type { OffsetsAnswer, OffsetsQuestion } from "../replica/offsets-messages.ts";
import { decodeRaftFrame, encodeRaftFrame } from "./raft-frames.ts";
import { decodeReplicationDown, encodeReplicationDown } from "./replication-frames.ts";

const { internal } = ottla;
const v1 = internal.v1;

export interface MessageCodec<Message> {
  encode(message: Message): Buffer;
  decode(bytes: Buffer): Message;
}

export type PeerCodecs = {
  readonly [Channel in PeerChannel]: {
    readonly path: string;
    readonly up: MessageCodec<PeerChannels[Channel]["up"]>;
    readonly down: MessageCodec<PeerChannels[Channel]["down"]>;
  };
};

function malformed(what: string): OttlaError {
  return new OttlaError("INVALID_REQUEST", `a message between brokers has no valid ${what}`);
}

const raft = { encode: encodeRaftFrame, decode: decodeRaftFrame };

export const PEER_CODECS: PeerCodecs = {
  raft: { path: "/ottla.internal.v1.Peer/Raft", up: raft, down: raft },
  replication: {
    path: "/ottla.internal.v1.Peer/Replication",
    up: { encode: encodeReplicationUp, decode: decodeReplicationUp },
    down: { encode: encodeReplicationDown, decode: decodeReplicationDown },
  },
  controller: {
    path: "/ottla.internal.v1.Peer/Controller",
    up: { encode: encodeControllerUp, decode: decodeControllerUp },
    down: { encode: encodeControllerDown, decode: decodeControllerDown },
  },
  offsets: {
    path: "/ottla.internal.v1.Peer/Offsets",
    up: { encode: encodeOffsetsQuestion, decode: decodeOffsetsQuestion },
    down: { encode: encodeOffsetsAnswer, decode: decodeOffsetsAnswer },
  },
};

function encodeReplicationUp(message: ReplicationUp): Buffer {
  const { type, ...body } = message;
  return encodeMessage(v1.ReplicationUp, new v1.ReplicationUp({ [type]: body }));
}

function decodeReplicationUp(bytes: Buffer): ReplicationUp {
  const { hello, start, stop, progress } = decodeMessage(v1.ReplicationUp, bytes);
  if (progress) {
    return {
      type: "progress",
      creditBytes: progress.creditBytes ?? 0,
      partitions: (progress.partitions ?? []).map((each) => ({
        handle: each.handle ?? 0,
        receivedEnd: each.receivedEnd ?? 0,
        durableEnd: each.durableEnd ?? 0,
        logStartOffset: each.logStartOffset ?? 0,
      })),
    };
  }
  if (start) {
    return {
      type: "start",
      partitions: (start.partitions ?? []).map((each) => ({
        handle: each.handle ?? 0,
        topicId: each.topicId ?? "",
        partition: each.partition ?? 0,
        leaderEpoch: each.leaderEpoch ?? 0,
        fetchOffset: each.fetchOffset ?? 0,
        lastFetchedEpoch: each.lastFetchedEpoch ?? 0,
        logStartOffset: each.logStartOffset ?? 0,
      })),
    };
  }
  if (stop) return { type: "stop", handles: stop.handles ?? [] };
  if (hello) {
    return {
      type: "hello",
      brokerId: hello.brokerId ?? 0,
      brokerEpoch: hello.brokerEpoch ?? 0,
      clusterId: hello.clusterId ?? "",
    };
  }
  throw malformed("kind");
}

function encodeControllerUp(message: ControllerUp): Buffer {
  if (message.type === "heartbeat") {
    return encodeMessage(v1.ControllerUp, new v1.ControllerUp({ heartbeat: message }));
  }
  const { id, name, timeoutMs } = message;
  const request = { id, name, timeoutMs, body: json(message.body) };
  return encodeMessage(v1.ControllerUp, new v1.ControllerUp({ request }));
}

function decodeControllerUp(bytes: Buffer): ControllerUp {
  const { heartbeat, request } = decodeMessage(v1.ControllerUp, bytes);
  if (heartbeat) {
    return {
      type: "heartbeat",
      brokerId: heartbeat.brokerId ?? 0,
      incarnationId: heartbeat.incarnationId ?? "",
      brokerEpoch: heartbeat.brokerEpoch ?? 0,
      appliedIndex: heartbeat.appliedIndex ?? 0,
      wantFence: heartbeat.wantFence ?? false,
      wantShutdown: heartbeat.wantShutdown ?? false,
    };
  }
  if (request) {
    return {
      type: "request",
      id: request.id ?? 0,
      // The controller refuses a name that it does not know.
      name: (request.name ?? "") as ControllerRequestName,
      body: parsed(request.body),
      timeoutMs: request.timeoutMs ?? 0,
    };
  }
  throw malformed("kind");
}

function encodeControllerDown(message: ControllerDown): Buffer {
  if (message.type === "status") {
    return encodeMessage(v1.ControllerDown, new v1.ControllerDown({ status: message }));
  }
  const { id, body, error } = message;
  const reply = { id, body: json(body), ...(error === null ? {} : { error }) };
  return encodeMessage(v1.ControllerDown, new v1.ControllerDown({ reply }));
}

function decodeControllerDown(bytes: Buffer): ControllerDown {
  const { status, reply } = decodeMessage(v1.ControllerDown, bytes);
  if (status) {
    return {
      type: "status",
      active: status.active ?? false,
      leaderId: status.leaderId ?? 0,
      term: status.term ?? 0,
      fenced: status.fenced ?? false,
      registered: status.registered ?? false,
      mayShutDown: status.mayShutDown ?? false,
      wallMs: status.wallMs ?? 0,
    };
  }
  if (reply) {
    return { type: "reply", id: reply.id ?? 0, body: parsed(reply.body), error: itemError(reply) };
  }
  throw malformed("kind");
}

function encodeOffsetsQuestion({ id, partitions }: OffsetsQuestion): Buffer {
  const asked = partitions.map((each) => ({ ...each, offsets: [...each.offsets] }));
  return encodeMessage(v1.OffsetsQuestion, new v1.OffsetsQuestion({ id, partitions: asked }));
}

function decodeOffsetsQuestion(bytes: Buffer): OffsetsQuestion {
  const { id, partitions } = decodeMessage(v1.OffsetsQuestion, bytes);
  return {
    id: id ?? 0,
    partitions: (partitions ?? []).map((each) => ({
      topicId: each.topicId ?? "",
      partition: each.partition ?? 0,
      offsets: each.offsets ?? [],
    })),
  };
}

function encodeOffsetsAnswer({ id, partitions }: OffsetsAnswer): Buffer {
  const answered = partitions.map((each) => ({ ...each, timestamps: [...each.timestamps] }));
  return encodeMessage(v1.OffsetsAnswer, new v1.OffsetsAnswer({ id, partitions: answered }));
}

function decodeOffsetsAnswer(bytes: Buffer): OffsetsAnswer {
  const { id, partitions } = decodeMessage(v1.OffsetsAnswer, bytes);
  return {
    id: id ?? 0,
    partitions: (partitions ?? []).map((each) => ({
      topicId: each.topicId ?? "",
      partition: each.partition ?? 0,
      logStartOffset: each.logStartOffset ?? 0,
      highWatermark: each.highWatermark ?? 0,
      timestamps: each.timestamps ?? [],
    })),
  };
}

function itemError({
  error,
}: {
  readonly error?: ottla.internal.v1.ControllerError.$Properties | null;
}) {
  if (!error) return null;
  const code = error.code ?? "";
  return {
    // A newer broker may know more errors than this one.
    code: isErrorCode(code) ? code : ("UNKNOWN_SERVER_ERROR" as const),
    message: error.message ?? "",
    ...(typeof error.field === "string" ? { field: error.field } : {}),
  };
}

/** Nothing is no JSON: it stays no bytes. */
function json(body: unknown): Uint8Array {
  return body === undefined ? new Uint8Array(0) : utf8(JSON.stringify(body));
}

function parsed(body: Uint8Array | null | undefined): unknown {
  return !body || body.length === 0 ? undefined : JSON.parse(text(body));
}
