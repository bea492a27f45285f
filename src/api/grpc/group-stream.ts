/**
 * The Session stream of consumer groups. A call reaches the broker in the turn in which it arrived,
 * so that calls of one member keep their order; answers leave as they come.
 */
import { Buffer } from "node:buffer";
import { bytesTag, uintSize, writeUint } from "../../base/protobuf.ts";
import type { DoorApi } from "../../broker/broker-api.ts";
import { ottla } from "../../gen/ottla.js";
import type { GroupError } from "../../group/calls.ts";
import { encodeMessage } from "../../grpc/messages.ts";
import { toOttlaError } from "../../model/errors.ts";
import { LIMITS } from "../../model/limits.ts";
import type { Ports } from "../../ports/ports.ts";
import type { BidiStream } from "./bidi-stream.ts";
import { checkNumber } from "./checks.ts";
import {
  commitFrom,
  fetchFrom,
  fetchMessage,
  heartbeatFrom,
  joinFrom,
  joinMessage,
  leaveFrom,
  leaveMessage,
  partitionsMessage,
  syncFrom,
  syncMessage,
} from "./group-messages.ts";
import { hintMessage } from "./image-messages.ts";
import { errorMessage, invalid } from "./status.ts";

const v1 = ottla.v1;
type Calls = ottla.v1.GroupCalls.$Properties;
type Request = ottla.v1.GroupRequest.$Properties;
type Response = ottla.v1.GroupResponse.$Properties;
type Answer = Omit<Response, "correlationId" | "error" | "coordinator">;

/** A call under way: what to ask for the coordinator if this broker is not, and the answer. */
interface Called {
  readonly name: string;
  readonly groupId: string;
  readonly answer: Promise<{ readonly error: GroupError | undefined; readonly answer: Answer }>;
}

/** `answers` of GroupAnswers. */
const ANSWERS_FIELD = 1;
/** Answers are collected in one message up to about so much. */
const MESSAGE_BYTES = 256 * 1024;

export interface GroupStreamOptions {
  readonly broker: DoorApi;
  readonly ports: Ports;
  readonly listenerName: string;
  readonly stream: BidiStream<Calls>;
}

export function serveGroups(options: GroupStreamOptions): void {
  options.stream.handle(() => new GroupStream(options));
}

class GroupStream {
  readonly #broker: DoorApi;
  readonly #ports: Ports;
  readonly #listenerName: string;
  readonly #stream: BidiStream<Calls>;
  /** Groups of which a member has joined or beaten by this stream, with what ends the watch. */
  readonly #watched = new Map<string, () => void>();
  /** Encoded answers that ride in the next message: those of one turn share it. */
  #outgoing: Uint8Array[] = [];
  #outgoingBytes = 0;
  #callsCount = 0;
  #ended = false;

  constructor({ broker, ports, listenerName, stream }: GroupStreamOptions) {
    this.#broker = broker;
    this.#ports = ports;
    this.#listenerName = listenerName;
    this.#stream = stream;
  }

  onMessage({ calls }: Calls): void {
    for (const request of calls ?? []) this.#onCall(request);
  }

  onEnd(): void {
    this.#ended = true;
    for (const unwatch of this.#watched.values()) unwatch();
    this.#watched.clear();
  }

  #onCall(request: Request): void {
    const correlationId = checkNumber("correlation_id", request.correlationId, 1);
    if (this.#callsCount >= LIMITS.groupCallsPerStreamCount) {
      const code = "THROTTLING_QUOTA_EXCEEDED";
      const message = `${this.#callsCount} calls of this stream wait for their answers; allowed are ${LIMITS.groupCallsPerStreamCount}`;
      this.#write({ correlationId, error: errorMessage({ code, message }) });
      return;
    }
    const startedMs = this.#ports.clock.monotonicMs();
    const called = this.#call(request);
    this.#callsCount++;
    this.#answer(correlationId, called, startedMs).catch((thrown: unknown) =>
      this.#stream.fail(thrown),
    );
  }

  #call(request: Request): Called {
    const { join, sync, heartbeat, leave, commit, fetch } = request;
    if (join) {
      const call = joinFrom(join, this.#stream.peer);
      const joining = this.#broker.joinGroup(call).then((result) => {
        if (result.error === undefined) this.#watch(call.groupId);
        return { error: result.error, answer: { join: joinMessage(result) } };
      });
      return { name: "JoinGroup", groupId: call.groupId, answer: joining };
    }
    if (sync) {
      const call = syncFrom(sync);
      const syncing = this.#broker
        .syncGroup(call)
        .then((result) => ({ error: result.error, answer: { sync: syncMessage(result) } }));
      return { name: "SyncGroup", groupId: call.groupId, answer: syncing };
    }
    if (heartbeat) {
      const call = heartbeatFrom(heartbeat);
      const beating = this.#broker.heartbeat(call).then(({ error }) => {
        // Of a member that has joined under the coordinator before this one.
        if (error === undefined) this.#watch(call.groupId);
        return { error, answer: { heartbeat: {} } };
      });
      return { name: "Heartbeat", groupId: call.groupId, answer: beating };
    }
    if (leave) {
      const call = leaveFrom(leave);
      const leaving = this.#broker
        .leaveGroup(call)
        .then((result) => ({ error: result.error, answer: { leave: leaveMessage(result) } }));
      return { name: "LeaveGroup", groupId: call.groupId, answer: leaving };
    }
    if (commit) {
      const call = commitFrom(commit);
      const committing = this.#broker
        .offsetCommit(call)
        .then((result) => ({ error: result.error, answer: { commit: partitionsMessage(result) } }));
      return { name: "OffsetCommit", groupId: call.groupId, answer: committing };
    }
    if (fetch) {
      const call = fetchFrom(fetch);
      const fetching = this.#broker
        .offsetFetch(call)
        .then((result) => ({ error: result.error, answer: { fetch: fetchMessage(result) } }));
      return { name: "OffsetFetch", groupId: call.groupId, answer: fetching };
    }
    throw invalid("call", undefined, "it must be join, sync, heartbeat, leave, commit or fetch");
  }

  async #answer(correlationId: number, called: Called, startedMs: number): Promise<void> {
    const { meter, logger, clock } = this.#ports;
    const { name: request, groupId } = called;
    try {
      const { error, answer: message } = await called.answer;
      if (error === undefined) this.#write({ correlationId, ...message });
      else {
        meter.count("kafka_network_requestmetrics_errors_total", { request, error: error.code }, 1);
        const refused = { correlationId, error: errorMessage(error) };
        if (error.code === "NOT_COORDINATOR") {
          const { coordinator } = await this.#broker.findCoordinator(groupId);
          const hint = hintMessage(coordinator, this.#broker.image(), this.#listenerName);
          this.#write({ ...refused, coordinator: hint });
        } else {
          this.#write(error.code === "MEMBER_ID_REQUIRED" ? { ...refused, ...message } : refused);
        }
      }
    } catch (thrown) {
      const { code, message } = toOttlaError(thrown);
      // Not a refusal, which is a result.
      logger.error("a group call failed", { call: request, error: thrown });
      this.#write({ correlationId, error: errorMessage({ code, message }) });
    } finally {
      this.#callsCount--;
      const seconds = (clock.monotonicMs() - startedMs) / 1_000;
      meter.observe("ottla_request_duration_seconds", { request }, seconds);
    }
  }

  /** The group may rebalance from now on; its members behind this stream are told. */
  #watch(groupId: string): void {
    if (this.#ended || this.#watched.has(groupId)) return;
    if (this.#watched.size >= LIMITS.groupCallsPerStreamCount) return;
    const unwatch = this.#broker.watchGroup(groupId, () =>
      this.#write({ correlationId: 0, rebalancing: { groupId } }),
    );
    this.#watched.set(groupId, unwatch);
  }

  #write(response: Response): void {
    const encoded = encodeMessage(v1.GroupResponse, new v1.GroupResponse(response));
    this.#outgoing.push(encoded);
    this.#outgoingBytes += encoded.length;
    if (this.#outgoingBytes > MESSAGE_BYTES) this.#flush();
    else if (this.#outgoing.length === 1) {
      this.#ports.timers.yield().then(
        () => this.#flush(),
        (thrown: unknown) => this.#stream.fail(thrown),
      );
    }
  }

  #flush(): void {
    if (this.#outgoing.length === 0) return;
    this.#stream.write(answersMessage(this.#outgoing));
    this.#outgoing = [];
    this.#outgoingBytes = 0;
    if (!this.#stream.full) return;
    // Who reads no answers is asked no more questions.
    this.#stream.pause();
    this.#stream.room()?.then(
      () => this.#stream.resume(),
      () => this.#ports.logger.debug("a Session stream ended with answers unread"),
    );
  }
}

/** GroupAnswers around answers that are encoded already. */
function answersMessage(answers: readonly Uint8Array[]): Buffer {
  let size = 0;
  for (const { length } of answers) size += 1 + uintSize(length) + length;
  const message = Buffer.allocUnsafe(size);
  let at = 0;
  for (const answer of answers) {
    message[at] = bytesTag(ANSWERS_FIELD);
    at = writeUint(message, at + 1, answer.length);
    message.set(answer, at);
    at += answer.length;
  }
  return message;
}
