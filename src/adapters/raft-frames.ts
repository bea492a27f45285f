import type { Buffer } from "node:buffer";
import { EMPTY_BYTES } from "../base/bytes.ts";
import { ottla } from "../gen/internal.js";
import { decodeMessage, encodeMessage } from "../grpc/messages.ts";
import { OttlaError } from "../model/errors.ts";
import type {
  EntryKind,
  RaftEntry,
  RaftMessage,
  RaftNode,
  RaftStreamMessage,
} from "../raft/messages.ts";

const v1 = ottla.internal.v1;
type Frame = ottla.internal.v1.RaftFrame.$Properties;

const { Kind } = v1.RaftEntry;
const KINDS: Readonly<Record<EntryKind, ottla.internal.v1.RaftEntry.Kind>> = {
  data: Kind.DATA,
  config: Kind.CONFIG,
  "no-op": Kind.NO_OP,
};

export function encodeRaftFrame(message: RaftStreamMessage): Buffer {
  return encodeMessage(v1.RaftFrame, new v1.RaftFrame(frameOf(message)));
}

function frameOf(message: RaftStreamMessage): Frame {
  if (message.type === "hello") {
    const { node, clusterId, empty, formation } = message;
    return { hello: { node, clusterId: clusterId ?? null, empty, formation: [...formation] } };
  }
  const { type, from, to, term, ...body } = message;
  const envelope = { from, to, term };
  switch (message.type) {
    case "vote-request":
      return { voteRequest: { envelope, ...body } };
    case "vote-response":
      return { voteResponse: { envelope, ...body } };
    case "append-request": {
      const { previousIndex, previousTerm, commitIndex } = message;
      const entries = message.entries.map((entry) => ({ ...entry, kind: KINDS[entry.kind] }));
      return { appendRequest: { envelope, previousIndex, previousTerm, commitIndex, entries } };
    }
    case "append-response":
      return { appendResponse: { envelope, ...body } };
    case "snapshot-request": {
      const { offset, bytes } = message;
      const head = { ...message.head, voters: [...message.head.voters] };
      return { snapshotRequest: { envelope, head, offset, bytes } };
    }
    case "snapshot-response":
      return { snapshotResponse: { envelope, ...body } };
    case "timeout-now":
      return { timeoutNow: { envelope } };
    case "observe-request":
      return { observeRequest: { envelope, ...body } };
  }
}

export function decodeRaftFrame(bytes: Buffer): RaftStreamMessage {
  const frame = decodeMessage(v1.RaftFrame, bytes);
  const { hello } = frame;
  if (hello) {
    return {
      type: "hello",
      node: node(hello.node),
      clusterId: hello.clusterId ?? undefined,
      empty: hello.empty ?? false,
      formation: (hello.formation ?? []).map(node),
    };
  }
  return raftMessage(frame);
}

function raftMessage(frame: Frame): RaftMessage {
  const { appendRequest, appendResponse } = frame;
  if (appendRequest) {
    return {
      type: "append-request",
      ...envelope(appendRequest),
      previousIndex: appendRequest.previousIndex ?? 0,
      previousTerm: appendRequest.previousTerm ?? 0,
      entries: (appendRequest.entries ?? []).map(entry),
      commitIndex: appendRequest.commitIndex ?? 0,
    };
  }
  if (appendResponse) {
    return {
      type: "append-response",
      ...envelope(appendResponse),
      success: appendResponse.success ?? false,
      matchIndex: appendResponse.matchIndex ?? 0,
      conflictTerm: appendResponse.conflictTerm ?? 0,
      previousIndex: appendResponse.previousIndex ?? 0,
    };
  }
  return electionMessage(frame) ?? snapshotMessage(frame);
}

function electionMessage(frame: Frame): RaftMessage | undefined {
  const { voteRequest, voteResponse, timeoutNow, observeRequest } = frame;
  if (voteRequest) {
    return {
      type: "vote-request",
      ...envelope(voteRequest),
      preVote: voteRequest.preVote ?? false,
      transfer: voteRequest.transfer ?? false,
      lastIndex: voteRequest.lastIndex ?? 0,
      lastTerm: voteRequest.lastTerm ?? 0,
    };
  }
  if (voteResponse) {
    return {
      type: "vote-response",
      ...envelope(voteResponse),
      preVote: voteResponse.preVote ?? false,
      granted: voteResponse.granted ?? false,
    };
  }
  if (timeoutNow) return { type: "timeout-now", ...envelope(timeoutNow) };
  if (observeRequest) {
    return {
      type: "observe-request",
      ...envelope(observeRequest),
      lastIndex: observeRequest.lastIndex ?? 0,
      lastTerm: observeRequest.lastTerm ?? 0,
    };
  }
  return undefined;
}

function snapshotMessage({ snapshotRequest, snapshotResponse }: Frame): RaftMessage {
  if (snapshotRequest) {
    const head = snapshotRequest.head ?? {};
    return {
      type: "snapshot-request",
      ...envelope(snapshotRequest),
      head: {
        index: head.index ?? 0,
        term: head.term ?? 0,
        voters: (head.voters ?? []).map(node),
        sizeBytes: head.sizeBytes ?? 0,
      },
      offset: snapshotRequest.offset ?? 0,
      bytes: snapshotRequest.bytes ?? EMPTY_BYTES,
    };
  }
  if (snapshotResponse) {
    return {
      type: "snapshot-response",
      ...envelope(snapshotResponse),
      index: snapshotResponse.index ?? 0,
      nextOffset: snapshotResponse.nextOffset ?? 0,
      installed: snapshotResponse.installed ?? false,
    };
  }
  throw new OttlaError("INVALID_REQUEST", "a Raft message of an unknown kind");
}

function envelope(message: {
  readonly envelope?: ottla.internal.v1.RaftEnvelope.$Properties | null;
}): { readonly from: RaftNode; readonly to: RaftNode; readonly term: number } {
  const { from, to, term } = message.envelope ?? {};
  return { from: node(from), to: node(to), term: term ?? 0 };
}

function node(message: ottla.internal.v1.RaftNode.$Properties | null | undefined): RaftNode {
  return { id: message?.id ?? 0, directoryId: message?.directoryId ?? "" };
}

function entry(message: ottla.internal.v1.RaftEntry.$Properties): RaftEntry {
  return {
    index: message.index ?? 0,
    term: message.term ?? 0,
    kind: entryKind(message.kind ?? Kind.DATA),
    payload: message.payload ?? EMPTY_BYTES,
  };
}

function entryKind(kind: ottla.internal.v1.RaftEntry.Kind): EntryKind {
  for (const [name, value] of Object.entries(KINDS)) {
    if (value === kind) return name as EntryKind;
  }
  throw new OttlaError("INVALID_REQUEST", `a Raft entry of the unknown kind ${kind}`);
}
