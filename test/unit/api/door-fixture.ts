/** A gRPC door on a free port before a broker of the test's own making, and a bare client. */
import { Client, credentials, type ServiceError } from "@grpc/grpc-js";
import { createNodePorts, type NodePorts } from "../../../src/adapters/node-ports.ts";
import { type GrpcServer, startGrpcServer } from "../../../src/api/grpc/server.ts";
import type { BrokerHealth, DoorApi } from "../../../src/broker/broker-api.ts";
import { EMPTY_IMAGE, type MetadataImage } from "../../../src/metadata/image.ts";
import type { Timer, Timers } from "../../../src/ports/clock.ts";

export const IMAGE: MetadataImage = {
  ...EMPTY_IMAGE,
  index: 7,
  term: 2,
  metadataVersion: 1,
  clusterId: "cluster",
  brokers: new Map(
    [1, 2].map((id) => [
      id,
      {
        id,
        epoch: 10 + id,
        incarnationId: `life-${id}`,
        endpoints: [
          { name: "INTERNAL", host: "inside", port: 9390 + id },
          { name: "GRPC", host: `host-${id}`, port: 9190 + id },
          ...(id === 1 ? [{ name: "OUTSIDE", host: "example.com", port: 443 }] : []),
        ],
        rack: id === 1 ? "a" : null,
        directories: [`directory-${id}`],
        features: [1, 1] as const,
        fenced: id === 2,
        inControlledShutdown: false,
      },
    ]),
  ),
  topics: new Map([
    [
      "topic-id",
      {
        id: "topic-id",
        name: "orders",
        partitions: [
          {
            replicas: [2, 1],
            directories: ["directory-2", "directory-1"],
            isr: [1],
            elr: [2],
            lastKnownLeader: -1,
            adding: [],
            removing: [],
            leader: 1,
            leaderEpoch: 4,
            partitionEpoch: 9,
          },
        ],
      },
    ],
  ]),
  topicIds: new Map([["orders", "topic-id"]]),
};

function unexpected(): never {
  throw new Error("the door asked for something that this test does not expect");
}

/** What a test does not give is not asked for. */
export function fakeBroker(overrides: Partial<DoorApi> = {}): DoorApi {
  const health: BrokerHealth = { live: true, ready: true, reason: "" };
  return {
    brokerId: 1,
    image: () => IMAGE,
    controllerId: () => 1,
    liveBrokers: () => [...IMAGE.brokers.values()].filter(({ fenced }) => !fenced),
    topics: unexpected,
    produce: unexpected,
    openFetch: unexpected,
    fetchOnce: unexpected,
    leaderEpochEnds: unexpected,
    listOffsets: unexpected,
    deleteRecords: unexpected,
    describeConfigs: unexpected,
    describeProducers: unexpected,
    describeLogDirectories: unexpected,
    initProducerId: unexpected,
    describeQuorum: unexpected,
    controller: unexpected,
    findCoordinator: unexpected,
    joinGroup: unexpected,
    syncGroup: unexpected,
    heartbeat: unexpected,
    leaveGroup: unexpected,
    offsetCommit: unexpected,
    offsetFetch: unexpected,
    listGroups: unexpected,
    describeGroups: unexpected,
    deleteGroups: unexpected,
    deleteOffsets: unexpected,
    watchGroup: unexpected,
    health: () => health,
    ...overrides,
  };
}

/** Timers that a test fires by hand; real ones fire too, unless `held`. */
export class HeldTimers implements Timers {
  readonly #real: Timers;
  readonly #held = new Map<() => void, number>();

  constructor(real: Timers) {
    this.#real = real;
  }

  after(delayMs: number, callback: () => void): Timer {
    this.#held.set(callback, delayMs);
    return { cancel: () => this.#held.delete(callback) };
  }

  every(periodMs: number, callback: () => void): Timer {
    return this.#real.every(periodMs, callback);
  }

  sleep(delayMs: number, signal?: AbortSignal): Promise<void> {
    return this.#real.sleep(delayMs, signal);
  }

  yield(): Promise<void> {
    return this.#real.yield();
  }

  get delays(): readonly number[] {
    return [...this.#held.values()];
  }

  fire(): void {
    for (const callback of [...this.#held.keys()]) {
      this.#held.delete(callback);
      callback();
    }
  }
}

export interface Door extends AsyncDisposable {
  readonly server: GrpcServer;
  readonly port: number;
  readonly client: Client;
  readonly ports: NodePorts;
  readonly timers: HeldTimers;
  readonly logs: string[];
}

export async function openDoor(broker: DoorApi, listenerName = "GRPC"): Promise<Door> {
  const logs: string[] = [];
  const node = createNodePorts({
    brokerId: 1,
    log: { level: "debug", destination: { write: (line) => logs.push(line) } },
  });
  const timers = new HeldTimers(node.timers);
  const ports = { ...node, timers };
  const server = await startGrpcServer({
    broker,
    ports,
    listener: { name: listenerName, host: "127.0.0.1", port: 0 },
    config: { requestTimeoutMs: 5_000, fetchMaxBytes: 1_000_000 },
  });
  const client = new Client(`127.0.0.1:${server.port}`, credentials.createInsecure(), {
    "grpc.max_receive_message_length": -1,
    "grpc.max_send_message_length": -1,
    "grpc.use_local_subchannel_pool": 1,
  });
  return {
    server,
    port: server.port,
    client,
    ports,
    timers,
    logs,
    async [Symbol.asyncDispose]() {
      client.close();
      await server.close();
    },
  };
}

const identity = (bytes: Buffer): Buffer => bytes;

/** A unary call of raw bytes; rejects with the status. */
export function callRaw(client: Client, path: string, request: Uint8Array): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest<Buffer, Buffer>(
      path,
      identity,
      identity,
      Buffer.from(request),
      (error: ServiceError | null, response) => {
        if (error === null) resolve(response as Buffer);
        else reject(error);
      },
    );
  });
}

/** Its end, told with an error once the door closes, is no failure of the test. */
export function openRaw(client: Client, path: string) {
  const call = client.makeBidiStreamRequest<Buffer, Buffer>(path, identity, identity);
  call.on("error", () => {});
  return call;
}

/** The status that ends a stream. */
export function statusOfStream(call: ReturnType<typeof openRaw>): Promise<ServiceError> {
  return new Promise((resolve) => {
    call.on("error", (error: ServiceError) => resolve(error));
  });
}

/** Settles once `condition` holds; the test's own time limit is the bound. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 2));
}
