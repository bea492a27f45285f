/**
 * The other clients of a run, with the simulator's programs on the real network: consumers that read
 * by hand, members of a group, an administrator. Each goes on under another name after it has ended.
 */
import type { Prng } from "../../src/base/prng.ts";
import { clientEnvironment } from "../../src/client/environment.ts";
import { Admin } from "../../src/client/index.ts";
import type { HistoryWriter } from "../history/format.ts";
import { HistoryAdmin } from "../sim/clients/admin-life.ts";
import type { ClientLife } from "../sim/clients/client-process.ts";
import type { ClientShared } from "../sim/clients/client-shared.ts";
import { consume } from "../sim/clients/consume-life.ts";
import { readAll } from "../sim/clients/final-read.ts";
import { GroupLedger } from "../sim/clients/group-ledger.ts";
import { consumeInGroup } from "../sim/clients/group-life.ts";
import type { ConsumerPlan, GroupPlan } from "../sim/clients/workload-plan.ts";
import { sleep, until } from "./waiting.ts";

export interface CrewOptions {
  readonly bootstrapServers: readonly string[];
  readonly history: HistoryWriter;
  readonly topic: string;
  readonly partitionsCount: number;
  readonly prng: Prng;
  readonly say: (text: string) => void;
}

const TAIL: ConsumerPlan = {
  habit: "tail",
  pollMs: 200,
  prefetchBytes: 4 * 1024 * 1024,
  autoOffsetReset: "earliest",
};
const WANDERER: ConsumerPlan = { ...TAIL, habit: "wander", pollMs: 300 };
export const GROUP: GroupPlan = {
  groupId: "chaos-group",
  membersCount: 2,
  staticCount: 0,
  strategy: "cooperative-sticky",
  sessionTimeoutMs: 10_000,
  maxPollIntervalMs: 60_000,
  autoCommitMs: 1_000,
  pollMs: 200,
  slowOneIn: 50,
  slowMs: 200,
  freezeMs: 0,
};
const ADMIN_INTERVAL_MS = [300, 3_000] as const;
const FINAL_READ_TRIES = 20;
const CAUGHT_UP_MS = 120_000;
const ENDED_MS = 60_000;

export class Crew {
  readonly #options: CrewOptions;
  readonly #shared: ClientShared;
  readonly #ledger: GroupLedger;
  /** What a client met that it must never meet. */
  readonly complaints: string[] = [];
  readonly #running: Promise<void>[] = [];
  #ending = false;

  constructor(options: CrewOptions) {
    const { bootstrapServers, history, partitionsCount, say, topic } = options;
    this.#options = options;
    const complain = (rule: string, detail: string): void => {
      this.complaints.push(`${rule}: ${detail}`);
      say(`!!! ${rule}: ${detail}`);
    };
    this.#shared = {
      cluster: {
        world: {
          get nowMs() {
            return performance.now();
          },
          note: (text) => say(text),
        },
        fail: complain,
      },
      history,
      bootstrapServers,
      topics: [{ name: topic, partitionsCount, keysCount: undefined }],
      counts: { sent: 0, acknowledged: 0, polled: 0, unsettled: new Map() },
    };
    this.#ledger = new GroupLedger({ fail: complain }, [topic]);
  }

  /** Records that were read, by all readers together. */
  get polled(): number {
    return this.#shared.counts.polled;
  }

  start(): void {
    const shared = this.#shared;
    this.#begin("r1", (life) => consume(shared, TAIL, life));
    this.#begin("w1", (life) => consume(shared, WANDERER, life));
    for (let index = 0; index < GROUP.membersCount; index++) {
      const membership = { plan: GROUP, index, ledger: this.#ledger };
      this.#begin(`g${index + 1}`, (life) => consumeInGroup(shared, membership, life));
    }
    this.#begin("a1", (life) => this.#administer(life));
  }

  /** Asks all to end; false if some did not within a minute. */
  async stop(): Promise<boolean> {
    this.#ending = true;
    let ended = false;
    const all = Promise.all(this.#running).then(() => {
      ended = true;
    });
    all.catch(() => undefined);
    return await until(() => ended, { timeoutMs: ENDED_MS });
  }

  /** Waits until the group was given every record; what is wrong with it, if anything. */
  async groupComplaint(): Promise<string | undefined> {
    const { bootstrapServers, partitionsCount, topic } = this.#options;
    await using admin = new Admin({ bootstrapServers, requestTimeoutMs: 10_000 });
    let behind = "nobody answered";
    const caughtUp = await until(
      async () => {
        const ends = await admin.listOffsets(
          Array.from({ length: partitionsCount }, (_, partition) => ({
            topic,
            partition,
            offset: "end" as const,
          })),
        );
        const late = ends.find((end) => this.#ledger.end(GROUP.groupId, end) < end.offset);
        if (late === undefined) return true;
        const has = this.#ledger.end(GROUP.groupId, late);
        behind = `the group has everything below ${has} of ${late.offset} of ${topic}-${late.partition}`;
        return false;
      },
      { timeoutMs: CAUGHT_UP_MS, periodMs: 500 },
    );
    return caughtUp ? undefined : behind;
  }

  /** Reads everything from its beginning to its end; true once that was done. */
  async readFinally(): Promise<boolean> {
    for (let tries = 1; tries <= FINAL_READ_TRIES; tries++) {
      const life = this.#life(`f1.${tries}`, () => false);
      if (await readAll(this.#shared, life)) return true;
      await sleep(1_000);
    }
    return false;
  }

  #begin(name: string, live: (life: ClientLife) => Promise<void>): void {
    const lives = async (): Promise<void> => {
      for (let life = 1; !this.#ending; life++) {
        const process = `${name}.${life}`;
        try {
          await live(this.#life(process, () => this.#ending));
        } catch (thrown) {
          this.#shared.cluster.fail("a client runs", `${process}: ${String(thrown)}`);
          await sleep(1_000);
        }
      }
    };
    this.#running.push(lives());
  }

  #life(process: string, ending: () => boolean): ClientLife {
    return {
      process,
      environment: clientEnvironment(),
      prng: this.#options.prng.fork(process),
      sleep,
      get ending() {
        return ending();
      },
    };
  }

  /** Topics come and go, a setting flips, things are looked at. */
  async #administer(life: ClientLife): Promise<void> {
    const { topic } = this.#options;
    const { prng } = life;
    const admin = new HistoryAdmin(this.#shared, life, 10_000);
    for (let made = 0; !life.ending; made++) {
      await life.sleep(prng.between(...ADMIN_INTERVAL_MS));
      const kind = prng.pick(["look", "look", "flip", "make"] as const);
      if (kind === "look") {
        await admin.call("describeTopic", { topic, stale: true }, async (each) => {
          await each.describeTopics([topic]);
        });
      } else if (kind === "flip") {
        const value = String(prng.pick([16, 64, 256]) * 1024 * 1024);
        const change = { key: "segment.bytes", operation: "set", value } as const;
        await admin.call("alterConfig", { topic, set: { [change.key]: value } }, (each) =>
          each.alterConfigs([{ type: "topic", name: topic, changes: [change] }]),
        );
      } else {
        const name = `side-${life.process}-${made}`;
        const partitions = prng.between(1, 2);
        await admin.call("createTopic", { topic: name, partitions }, (each) =>
          each.createTopics([{ name, partitions, replicationFactor: 3 }]),
        );
        await admin.call("deleteTopic", { topic: name }, (each) => each.deleteTopics([name]));
      }
    }
    await admin.admin.close();
  }
}
