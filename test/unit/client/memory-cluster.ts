/**
 * Brokers in memory behind the client's transport: real rules for batches and sequences, no
 * network. All brokers share each partition's log; only its leader serves it.
 */

import type { BrokerAddress } from "../../../src/client/core/metadata-cache.ts";
import type {
  ErrorMessage,
  FetchRequest,
  FetchResponse,
  FetchStart,
  ProduceRequest,
  ProduceResponse,
  UnaryCalls,
  UnaryName,
} from "../../../src/client/messages.ts";
import type {
  CallOptions,
  ClientStream,
  Connection,
  StreamEvents,
  Transport,
} from "../../../src/client/transport.ts";
import { OttlaError, toOttlaError } from "../../../src/model/errors.ts";
import { type Batch, lastOffset, placeBatch, splitBatches } from "../../../src/record/batch.ts";
import { LeaderEpochs } from "../../../src/replica/leader-epochs.ts";
import { ProducerStates } from "../../../src/replica/producer-states.ts";

interface MemoryPartition {
  leader: number;
  leaderEpoch: number;
  log: Batch[];
  logStartOffset: number;
  states: ProducerStates;
}

interface OpenFetch {
  readonly brokerId: number;
  readonly events: StreamEvents<FetchResponse>;
  readonly fetches: Map<number, { readonly start: FetchStart; next: number }>;
  credit: number;
}

interface OpenProduce {
  readonly brokerId: number;
  readonly events: StreamEvents<ProduceResponse>;
}

function message(code: string, text: string): ErrorMessage {
  return { code, message: text, field: "", retriable: true };
}

const HOST = "memory";

export class MemoryCluster implements Transport {
  readonly topics = new Map<string, MemoryPartition[]>();
  readonly brokerIds: readonly number[];
  /** Refuses connections and has dropped those it had. */
  readonly dead = new Set<number>();
  /** Keeps connections and answers nothing. */
  readonly frozen = new Set<number>();
  /** Of brokers that the others do not reach, and clients do: what they know of leaders. */
  readonly #cutOff = new Map<number, ReadonlyMap<string, readonly MemoryPartition[]>>();
  /** The next batches are refused with these, before they are appended. */
  readonly refusals: string[] = [];
  producerIds = 0;
  maxMessageBytes = 1_048_588;
  unaryCalls: string[] = [];
  readonly #fetches = new Set<OpenFetch>();
  readonly #produces = new Set<OpenProduce>();

  constructor(brokers = 3) {
    this.brokerIds = Array.from({ length: brokers }, (_, index) => index + 1);
  }

  get bootstrapServers(): string[] {
    return this.brokerIds.map((id) => `${HOST}:${id}`);
  }

  createTopic(name: string, partitions: number): void {
    this.topics.set(
      name,
      Array.from({ length: partitions }, (_, index) => ({
        leader: this.brokerIds[index % this.brokerIds.length] as number,
        leaderEpoch: 0,
        log: [],
        logStartOffset: 0,
        states: new ProducerStates(),
      })),
    );
  }

  partition(topic: string, partition: number): MemoryPartition {
    const found = this.topics.get(topic)?.[partition];
    if (found === undefined) throw new Error(`${topic}-${partition} is not there`);
    return found;
  }

  /** kill -9: connections break, partitions get other leaders. */
  kill(brokerId: number): void {
    this.dead.add(brokerId);
    this.breakConnections(brokerId);
    this.moveLeaders(brokerId);
  }

  /** Connections stay and questions are answered, with what was; nothing new is written or read. */
  cutOff(brokerId: number): void {
    const copies = [...this.topics].map(
      ([name, partitions]) => [name, partitions.map((each) => ({ ...each }))] as const,
    );
    this.#cutOff.set(brokerId, new Map(copies));
  }

  #silent(brokerId: number): boolean {
    return this.frozen.has(brokerId) || this.#cutOff.has(brokerId);
  }

  breakConnections(brokerId: number): void {
    const error = new OttlaError("NETWORK_EXCEPTION", `broker ${brokerId} is gone`);
    for (const set of [this.#fetches, this.#produces]) {
      for (const stream of [...set]) {
        if (stream.brokerId !== brokerId) continue;
        set.delete(stream as OpenFetch & OpenProduce);
        stream.events.onEnd(error);
      }
    }
  }

  moveLeaders(from: number): void {
    const to = this.brokerIds.find((id) => id !== from && !this.dead.has(id)) as number;
    for (const partitions of this.topics.values()) {
      for (const each of partitions) {
        if (each.leader !== from) continue;
        each.leader = to;
        each.leaderEpoch++;
      }
    }
    this.#serve();
  }

  connect({ port: brokerId }: BrokerAddress): Connection {
    const check = () => {
      if (this.dead.has(brokerId) || !this.brokerIds.includes(brokerId)) {
        throw new OttlaError("NETWORK_EXCEPTION", `broker ${brokerId} refuses`);
      }
    };
    const later = <Result>(run: () => Result): Promise<Result> =>
      Promise.resolve().then(() => {
        check();
        return run();
      });
    return {
      call: <Name extends UnaryName>(
        name: Name,
        request: UnaryCalls[Name]["request"],
        _options: CallOptions,
      ) => {
        this.unaryCalls.push(name);
        if (this.frozen.has(brokerId))
          return new Promise<UnaryCalls[Name]["response"]>(() => undefined);
        return later(() => this.#call(brokerId, name, request) as UnaryCalls[Name]["response"]);
      },
      openProduce: (events) => this.#openProduce(brokerId, events),
      openFetch: (events) => this.#openFetch(brokerId, events),
      openSession: () => {
        throw new OttlaError("INVALID_REQUEST", "Session is not simulated");
      },
      ready: () => later(() => undefined),
      close: () => undefined,
    };
  }

  #call(brokerId: number, name: UnaryName, request: unknown): unknown {
    switch (name) {
      case "Metadata":
        return this.#metadata(
          request as UnaryCalls["Metadata"]["request"],
          this.#cutOff.get(brokerId) ?? this.topics,
        );
      case "InitProducerId":
        return { error: null, producerId: this.producerIds++, producerEpoch: 0 };
      case "ListOffsets":
        return this.#listOffsets(request as UnaryCalls["ListOffsets"]["request"]);
      default:
        throw new OttlaError("INVALID_REQUEST", `${name} is not simulated`);
    }
  }

  #metadata(
    { noTopics, topics }: UnaryCalls["Metadata"]["request"],
    known: ReadonlyMap<string, readonly MemoryPartition[]>,
  ) {
    const names = noTopics ? [] : topics.length > 0 ? topics : [...known.keys()];
    return {
      clusterId: "memory",
      controllerId: 1,
      brokers: this.brokerIds
        .filter((id) => !this.dead.has(id))
        .map((id) => ({ id, host: HOST, port: id, rack: "" })),
      topics: names.map((name) => {
        const partitions = known.get(name);
        const missing = message("UNKNOWN_TOPIC_OR_PARTITION", `no topic ${name}`);
        return {
          name,
          id: `id-of-${name}`,
          error: partitions === undefined ? missing : null,
          partitions: (partitions ?? []).map(({ leader, leaderEpoch }, partition) => ({
            partition,
            leader,
            leaderEpoch,
            replicas: this.brokerIds,
            isr: this.brokerIds,
            elr: [],
            lastKnownElr: [],
            offlineReplicas: [],
          })),
        };
      }),
    };
  }

  #listOffsets({ partitions }: UnaryCalls["ListOffsets"]["request"]) {
    return {
      partitions: partitions.map(({ partition, timestamp, topic }) => {
        const { log, logStartOffset } = this.partition(topic, partition);
        const end = endOf(log);
        const later = log.find(({ header }) => header.maxTimestamp >= timestamp);
        const byTime = later === undefined ? -1 : later.header.baseOffset;
        const offset = timestamp === -1 ? end : timestamp === -2 ? logStartOffset : byTime;
        return {
          topic,
          partition,
          error: null,
          offset,
          timestamp: -1,
          leaderEpoch: 0,
          leader: null,
        };
      }),
    };
  }

  #hint(partition: MemoryPartition) {
    const { leader, leaderEpoch } = partition;
    return { brokerId: leader, leaderEpoch, host: HOST, port: leader };
  }

  #openProduce(
    brokerId: number,
    events: StreamEvents<ProduceResponse>,
  ): ClientStream<ProduceRequest> {
    const stream: OpenProduce = { brokerId, events };
    this.#produces.add(stream);
    if (this.dead.has(brokerId)) queueMicrotask(() => this.breakConnections(brokerId));
    return {
      send: (request) => {
        const copy = request.partitions.map((each) => ({ ...each, batch: each.batch.slice() }));
        setImmediate(() => {
          if (!this.#produces.has(stream) || this.#silent(brokerId)) return;
          const partitions = copy.map((each) => this.#append(brokerId, each));
          this.#serve();
          if (request.acks !== 0) {
            events.onMessage({ correlationId: request.correlationId, partitions });
          }
        });
      },
      close: () => this.#produces.delete(stream),
    };
  }

  #append(brokerId: number, produced: ProduceRequest["partitions"][number]) {
    const { batch: bytes, partition: index, topic } = produced;
    const base = { topic, partition: index, baseOffset: -1, logAppendTimeMs: -1, leader: null };
    const partition = this.partition(topic, index);
    if (partition.leader !== brokerId) {
      const error = message("NOT_LEADER_OR_FOLLOWER", "elsewhere");
      return { ...base, error, leader: this.#hint(partition) };
    }
    const refusal = this.refusals.shift();
    if (refusal !== undefined) return { ...base, error: message(refusal, "refused") };
    if (bytes.length > this.maxMessageBytes) {
      return { ...base, error: message("MESSAGE_TOO_LARGE", "too large") };
    }
    try {
      const [batch] = splitBatches(bytes) as [Batch];
      const duplicate = partition.states.check(batch.header);
      if (duplicate !== undefined)
        return { ...base, error: null, baseOffset: duplicate.baseOffset };
      const baseOffset = endOf(partition.log);
      const placed = placeBatch(batch, { baseOffset, leaderEpoch: partition.leaderEpoch });
      partition.log.push(placed);
      partition.states.update(placed.header);
      return { ...base, error: null, baseOffset };
    } catch (thrown) {
      const { code, message: text } = toOttlaError(thrown);
      return { ...base, error: message(code, text) };
    }
  }

  #openFetch(brokerId: number, events: StreamEvents<FetchResponse>): ClientStream<FetchRequest> {
    const stream: OpenFetch = { brokerId, events, fetches: new Map(), credit: 0 };
    this.#fetches.add(stream);
    if (this.dead.has(brokerId)) queueMicrotask(() => this.breakConnections(brokerId));
    return {
      send: ({ creditBytes, start, stop }) => {
        for (const handle of stop) stream.fetches.delete(handle);
        for (const each of start)
          stream.fetches.set(each.handle, { start: each, next: each.offset });
        stream.credit += creditBytes;
        setImmediate(() => this.#serve());
      },
      close: () => this.#fetches.delete(stream),
    };
  }

  /** Sends what open fetches may have: one batch at a time, as long as there is credit. */
  #serve(): void {
    for (const stream of this.#fetches) {
      if (this.#silent(stream.brokerId)) continue;
      for (const [handle, fetch] of stream.fetches) {
        const partition = this.partition(fetch.start.topic, fetch.start.partition);
        const diverged = divergedAt(partition.log, fetch.start, fetch.next);
        const answer = (error: ErrorMessage | null, batches: Uint8Array) => {
          const end = endOf(partition.log);
          const { logStartOffset } = partition;
          const leader = error === null ? null : this.#hint(partition);
          const common = { handle, error, highWatermark: end, lastStableOffset: end, leader };
          const each = { ...common, logStartOffset, batches, divergedAt: diverged };
          stream.events.onMessage({ partitions: [each] });
        };
        const fail = (code: string) => {
          stream.fetches.delete(handle);
          answer(message(code, "refused"), new Uint8Array(0));
        };
        if (partition.leader !== stream.brokerId) fail("NOT_LEADER_OR_FOLLOWER");
        else if (diverged !== null) fail("OFFSET_OUT_OF_RANGE");
        else if (fetch.next < partition.logStartOffset || fetch.next > endOf(partition.log)) {
          fail("OFFSET_OUT_OF_RANGE");
        } else {
          for (const batch of partition.log) {
            if (lastOffset(batch.header) < fetch.next || stream.credit <= 0) continue;
            stream.credit -= batch.bytes.length;
            fetch.next = lastOffset(batch.header) + 1;
            answer(null, batch.bytes.slice());
          }
        }
      }
    }
  }
}

export function endOf(log: readonly Batch[]): number {
  const last = log.at(-1);
  return last === undefined ? 0 : lastOffset(last.header) + 1;
}

/** As the broker's own check; only of a fetch that has sent nothing yet. */
function divergedAt(log: readonly Batch[], start: FetchStart, next: number): number | null {
  if (start.lastFetchedEpoch < 0 || next !== start.offset) return null;
  const epochs = new LeaderEpochs();
  for (const { header } of log) epochs.assign(header.leaderEpoch, header.baseOffset);
  const { endOffset } = epochs.endOf(start.lastFetchedEpoch, endOf(log));
  return endOffset < start.offset ? endOffset : null;
}
