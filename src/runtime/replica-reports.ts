/**
 * What this broker owes the controller about its replicas: which ones storage errors took offline,
 * and which directory holds each. Kept until the controller has taken it.
 */
import type {
  AssignDirectories,
  ControllerRequestName,
  ControllerRequests,
} from "../metadata/commands.ts";
import { toOttlaError } from "../model/errors.ts";
import {
  type BrokerEpoch,
  type BrokerId,
  type DirectoryId,
  type LogIndex,
  partitionKey,
  type TopicPartition,
} from "../model/ids.ts";
import type { Ports } from "../ports/ports.ts";
import { OncePerTurn } from "./once-per-turn.ts";

export interface ReplicaReportsOptions {
  readonly self: BrokerId;
  /** -1 until registered: nothing is sent before. */
  readonly brokerEpoch: () => BrokerEpoch;
  readonly request: <Name extends ControllerRequestName>(
    name: Name,
    body: ControllerRequests[Name]["request"],
  ) => Promise<ControllerRequests[Name]["reply"]>;
  /** From this index of the metadata log on the controller knows that the replica lost records. */
  readonly onLossTold: (replica: TopicPartition, index: LogIndex) => void;
}

const RETRY_MS = 500;

export class ReplicaReports {
  readonly #ports: Ports;
  readonly #options: ReplicaReportsOptions;
  readonly #failed = new Map<string, TopicPartition>();
  readonly #directories = new Map<string, AssignDirectories["partitions"][number]>();
  readonly #flush: OncePerTurn;
  #busy = false;
  #closed = false;

  constructor(ports: Ports, options: ReplicaReportsOptions) {
    this.#ports = ports;
    this.#options = options;
    this.#flush = new OncePerTurn(ports, () => this.#start());
  }

  failed({ topicId, partition }: TopicPartition): void {
    const key = partitionKey(topicId, partition);
    this.#failed.set(key, { topicId, partition });
    this.#directories.delete(key);
    this.#flush.schedule();
  }

  /** Also says of a replica which had failed that it is whole again, or not. */
  assigned(
    { topicId, partition }: TopicPartition,
    { directoryId, lost }: { readonly directoryId: DirectoryId; readonly lost: boolean },
  ): void {
    const key = partitionKey(topicId, partition);
    this.#directories.set(key, { topicId, partition, directoryId, lost });
    this.#flush.schedule();
  }

  close(): void {
    this.#closed = true;
  }

  #start(): void {
    if (this.#busy || this.#closed) return;
    this.#busy = true;
    this.#send()
      .finally(() => {
        this.#busy = false;
      })
      .catch((error: unknown) => this.#ports.fatal("replicas could not be reported", error));
  }

  async #send(): Promise<void> {
    const { self, request } = this.#options;
    while (!this.#closed && this.#failed.size + this.#directories.size > 0) {
      const brokerEpoch = this.#options.brokerEpoch();
      try {
        // Failures first: as long as the controller does not know, the replica may be elected.
        if (this.#failed.size > 0) {
          const sent = [...this.#failed];
          const partitions = sent.map(([, partition]) => partition);
          await request("replicas-failed", { brokerId: self, brokerEpoch, partitions });
          this.#settle(this.#failed, sent);
        } else {
          const sent = [...this.#directories];
          const partitions = sent.map(([, partition]) => partition);
          const body = { brokerId: self, brokerEpoch, partitions };
          const { index } = await request("assign-directories", body);
          this.#settle(this.#directories, sent);
          for (const one of partitions) if (one.lost) this.#options.onLossTold(one, index);
        }
      } catch (thrown) {
        const { code, message } = toOttlaError(thrown);
        if (this.#closed) return;
        this.#ports.logger.warn("replicas could not be reported yet", { code, message });
        await this.#ports.timers.sleep(RETRY_MS);
      }
    }
  }

  /** What was reported anew meanwhile stays. */
  #settle<Report>(open: Map<string, Report>, sent: readonly (readonly [string, Report])[]): void {
    for (const [key, report] of sent) if (open.get(key) === report) open.delete(key);
  }
}
