/**
 * Stories of brokers that come and go, as people would tell them: each line of a script is an event,
 * and under it stands what became of the partition. `r` replicas, `e` leader epoch.
 */
import { describe, expect, it } from "vitest";
import { decideAlterConfigs } from "../../../src/metadata/decide/alter-configs.ts";
import { decideAlterPartition } from "../../../src/metadata/decide/alter-partition.ts";
import {
  decideControlledShutdown,
  hasLeadersToMove,
} from "../../../src/metadata/decide/controlled-shutdown.ts";
import { decideCreateTopics } from "../../../src/metadata/decide/create-topics.ts";
import { decideBalance, decideElectLeaders } from "../../../src/metadata/decide/elect-leaders.ts";
import { decideFenceBrokers } from "../../../src/metadata/decide/fence-brokers.ts";
import {
  decideAssignDirectories,
  decideReplicasFailed,
} from "../../../src/metadata/decide/replica-reports.ts";
import { topicByName } from "../../../src/metadata/image.ts";
import { MetadataCluster } from "../../support/metadata-cluster.ts";

/** Topic `t` with one partition on brokers 1, 2 and 3, all alive, min.insync.replicas 2. */
class Story {
  readonly cluster = new MetadataCluster();
  readonly #lines: string[] = [];

  constructor(replicas: readonly number[] = [1, 2, 3]) {
    this.cluster.start(...replicas);
    this.cluster.run((image, context) =>
      decideCreateTopics(
        image,
        {
          topics: [
            {
              name: "t",
              partitionsCount: -1,
              replicationFactor: -1,
              assignment: [replicas],
              configs: {},
            },
          ],
          validateOnly: false,
        },
        context,
      ),
    );
    this.#tell("create");
  }

  get topicId(): string {
    return topicByName(this.cluster.image, "t")?.id ?? "";
  }

  get #epochOf() {
    return (id: number) => this.cluster.image.brokers.get(id)?.epoch ?? -1;
  }

  kill(...ids: readonly number[]): this {
    const { image, properties } = this.cluster;
    this.cluster.apply(decideFenceBrokers(image, ids, properties));
    return this.#tell(`kill ${ids.join(" ")}`);
  }

  /** A new life, in which nothing was lost unless told. */
  restart(id: number, how: "" | "lost" | "clean" = ""): this {
    const { image } = this.cluster;
    this.cluster.register(id, {
      lostReplicas: how === "lost" ? [{ topicId: this.topicId, partition: 0 }] : [],
      cleanShutdownEpoch: how === "clean" ? (image.brokers.get(id)?.epoch ?? -1) : -1,
    });
    this.#tell(`register ${id}${how === "" ? "" : ` ${how}`}`);
    this.cluster.unfence(id);
    return this.#tell(`unfence ${id}`);
  }

  isr(...ids: readonly number[]): this {
    this.cluster.run((image) => {
      const { leader, leaderEpoch, partitionEpoch } = this.cluster.partition("t", 0);
      return decideAlterPartition(image, {
        brokerId: leader,
        brokerEpoch: this.#epochOf(leader),
        partitions: [
          {
            topicId: this.topicId,
            partition: 0,
            leaderEpoch,
            partitionEpoch,
            newIsr: ids.map((id) => ({ brokerId: id, brokerEpoch: this.#epochOf(id) })),
          },
        ],
      });
    });
    return this.#tell(`isr ${ids.join(" ")}`);
  }

  config(key: string, value: string): this {
    this.cluster.run((image) =>
      decideAlterConfigs(
        image,
        {
          resources: [
            { resource: "topic", name: "t", operations: [{ key, operation: "set", value }] },
          ],
          validateOnly: false,
        },
        this.cluster,
      ),
    );
    return this.#tell(`${key}=${value}`);
  }

  elect(type: "preferred" | "unclean"): this {
    const { partitions } = this.cluster.run((image) =>
      decideElectLeaders(image, { type, partitions: [{ topic: "t", partition: 0 }] }),
    );
    const code = partitions[0]?.error?.code;
    return this.#tell(`elect ${type}${code === undefined ? "" : `: ${code}`}`);
  }

  shutDown(id: number): this {
    const { image, properties } = this.cluster;
    this.cluster.apply(decideControlledShutdown(image, id, { limit: 10, properties }));
    const more = hasLeadersToMove(this.cluster.image, id);
    return this.#tell(`shut down ${id}${more ? ", not yet" : ""}`);
  }

  balance(): this {
    const { image, properties } = this.cluster;
    this.cluster.apply(decideBalance(image, { limit: 10, properties }));
    return this.#tell("balance");
  }

  storageFails(brokerId: number): this {
    const brokerEpoch = this.#epochOf(brokerId);
    const partitions = [{ topicId: this.topicId, partition: 0 }];
    this.cluster.run((image) =>
      decideReplicasFailed(image, { brokerId, brokerEpoch, partitions }, this.cluster),
    );
    return this.#tell(`storage of ${brokerId} fails`);
  }

  storageReturns(brokerId: number, options: { readonly lost: boolean } = { lost: false }): this {
    const brokerEpoch = this.#epochOf(brokerId);
    const directoryId = `directory-${brokerId}`;
    const partitions = [{ topicId: this.topicId, partition: 0, directoryId, ...options }];
    this.cluster.run((image) =>
      decideAssignDirectories(image, { brokerId, brokerEpoch, partitions }, this.cluster),
    );
    return this.#tell(`storage of ${brokerId} returns${options.lost ? " with less" : ""}`);
  }

  told(script: string): void {
    const lines = script.trim().split("\n");
    expect(this.#lines).toEqual(lines.map((line) => line.trim()));
  }

  #tell(event: string): this {
    const state = this.cluster.partition("t", 0);
    const { uncleanElectionsCount } = this.cluster.image;
    const ids = (members: readonly number[]): string => members.join(",") || "-";
    const last =
      state.lastKnownLeader < 0
        ? ""
        : ` last ${state.lastKnownLeader}${state.lastKnownLeaderLost === true ? " (lost)" : ""}`;
    const unclean = uncleanElectionsCount === 0 ? "" : ` unclean ${uncleanElectionsCount}`;
    this.#lines.push(
      `${event} -> leader ${state.leader} e${state.leaderEpoch} isr ${ids(state.isr)} elr ${ids(state.elr)}${last}${unclean}`,
    );
    return this;
  }
}

describe("a leader dies", () => {
  it("and another member of the ISR leads; when it is back, it takes over again", () => {
    new Story()
      .kill(1)
      .restart(1)
      .isr(2, 3, 1)
      .balance()
      .told(`
      create -> leader 1 e0 isr 1,2,3 elr -
      kill 1 -> leader 2 e1 isr 2,3 elr -
      register 1 -> leader 2 e1 isr 2,3 elr -
      unfence 1 -> leader 2 e1 isr 2,3 elr -
      isr 2 3 1 -> leader 2 e1 isr 1,2,3 elr -
      balance -> leader 1 e2 isr 1,2,3 elr -
    `);
  });

  it("and comes back before anybody missed it: it leads no more, or in a new epoch", () => {
    new Story().restart(1).told(`
      create -> leader 1 e0 isr 1,2,3 elr -
      register 1 -> leader 2 e1 isr 2,3 elr -
      unfence 1 -> leader 2 e1 isr 2,3 elr -
    `);
    new Story([1]).restart(1).told(`
      create -> leader 1 e0 isr 1 elr -
      register 1 -> leader -1 e1 isr - elr 1
      unfence 1 -> leader 1 e2 isr 1 elr -
    `);
  });
});

describe("everybody dies", () => {
  it("one by one: who was there when min.insync.replicas was last met may lead again", () => {
    new Story()
      .kill(1)
      .kill(2)
      .kill(3)
      .restart(1)
      .restart(2)
      .isr(2, 1)
      .told(`
      create -> leader 1 e0 isr 1,2,3 elr -
      kill 1 -> leader 2 e1 isr 2,3 elr -
      kill 2 -> leader 3 e2 isr 3 elr 2
      kill 3 -> leader -1 e3 isr - elr 2,3
      register 1 -> leader -1 e3 isr - elr 2,3
      unfence 1 -> leader -1 e3 isr - elr 2,3
      register 2 -> leader -1 e3 isr - elr 2,3
      unfence 2 -> leader 2 e4 isr 2 elr 3
      isr 2 1 -> leader 2 e4 isr 1,2 elr -
    `);
  });

  it("at once, by kill -9: whoever is back first leads, and nobody has to help", () => {
    new Story()
      .kill(1, 2, 3)
      .restart(3)
      .restart(1)
      .told(`
      create -> leader 1 e0 isr 1,2,3 elr -
      kill 1 2 3 -> leader -1 e1 isr - elr 1,2,3
      register 3 -> leader -1 e1 isr - elr 1,2,3
      unfence 3 -> leader 3 e2 isr 3 elr 1,2
      register 1 -> leader 3 e2 isr 3 elr 1,2
      unfence 1 -> leader 3 e2 isr 3 elr 1,2
    `);
  });
});

describe("a log's tail is lost", () => {
  it("by a member: it is in neither ISR nor ELR before it is back", () => {
    new Story()
      .kill(3)
      .kill(2)
      .restart(2, "lost")
      .kill(1)
      .told(`
      create -> leader 1 e0 isr 1,2,3 elr -
      kill 3 -> leader 1 e0 isr 1,2 elr -
      kill 2 -> leader 1 e0 isr 1 elr 2
      register 2 lost -> leader 1 e0 isr 1 elr -
      unfence 2 -> leader 1 e0 isr 1 elr -
      kill 1 -> leader -1 e1 isr - elr 1
    `);
  });

  it("by the last one: only an unclean election may take it, and it goes before those behind", () => {
    new Story()
      .kill(2, 3)
      .isr(1)
      .restart(1, "lost")
      .restart(2)
      .restart(1)
      .elect("unclean")
      .told(`
      create -> leader 1 e0 isr 1,2,3 elr -
      kill 2 3 -> leader 1 e0 isr 1 elr 2,3
      isr 1 -> leader 1 e0 isr 1 elr 2,3
      register 1 lost -> leader -1 e1 isr - elr 2,3
      unfence 1 -> leader -1 e1 isr - elr 2,3
      register 2 -> leader -1 e1 isr - elr 2,3
      unfence 2 -> leader 2 e2 isr 2 elr 3
      register 1 -> leader 2 e2 isr 2 elr 3
      unfence 1 -> leader 2 e2 isr 2 elr 3
      elect unclean: ELECTION_NOT_NEEDED -> leader 2 e2 isr 2 elr 3
    `);
    new Story([1])
      .restart(1, "lost")
      .restart(1)
      .elect("unclean")
      .told(`
      create -> leader 1 e0 isr 1 elr -
      register 1 lost -> leader -1 e1 isr - elr - last 1 (lost)
      unfence 1 -> leader -1 e1 isr - elr - last 1 (lost)
      register 1 -> leader -1 e1 isr - elr - last 1 (lost)
      unfence 1 -> leader -1 e1 isr - elr - last 1 (lost)
      elect unclean -> leader 1 e2 isr 1 elr - unclean 1
    `);
  });

  it("where unclean elections are allowed: availability goes first, counted", () => {
    new Story()
      .config("unclean.leader.election.enable", "true")
      .kill(2)
      .isr(1)
      .config("min.insync.replicas", "1")
      .kill(1)
      .restart(2)
      .told(`
      create -> leader 1 e0 isr 1,2,3 elr -
      unclean.leader.election.enable=true -> leader 1 e0 isr 1,2,3 elr -
      kill 2 -> leader 1 e0 isr 1,3 elr -
      isr 1 -> leader 1 e0 isr 1 elr 3
      min.insync.replicas=1 -> leader 1 e0 isr 1 elr -
      kill 1 -> leader 3 e1 isr 3 elr - unclean 1
      register 2 -> leader 3 e1 isr 3 elr - unclean 1
      unfence 2 -> leader 3 e1 isr 3 elr - unclean 1
    `);
  });

  it("once the operator allows it, a partition that waits gets its leader", () => {
    new Story()
      .config("min.insync.replicas", "1")
      .isr(1)
      .kill(1)
      .config("unclean.leader.election.enable", "true")
      .told(`
      create -> leader 1 e0 isr 1,2,3 elr -
      min.insync.replicas=1 -> leader 1 e0 isr 1,2,3 elr -
      isr 1 -> leader 1 e0 isr 1 elr -
      kill 1 -> leader -1 e1 isr - elr 1
      unclean.leader.election.enable=true -> leader 2 e2 isr 2 elr - unclean 1
    `);
  });
});

describe("the relaxed profile", () => {
  it("trusts nobody after a crash, and the last leader only as the last", () => {
    new Story()
      .config("flush.messages", "1000")
      .kill(2)
      .isr(1)
      .restart(1)
      .told(`
      create -> leader 1 e0 isr 1,2,3 elr -
      flush.messages=1000 -> leader 1 e0 isr 1,2,3 elr -
      kill 2 -> leader 1 e0 isr 1,3 elr -
      isr 1 -> leader 1 e0 isr 1 elr 3
      register 1 -> leader 3 e1 isr 3 elr -
      unfence 1 -> leader 3 e1 isr 3 elr -
    `);
    new Story([1])
      .config("flush.messages", "1000")
      .restart(1)
      .restart(1, "clean")
      .told(`
      create -> leader 1 e0 isr 1 elr -
      flush.messages=1000 -> leader 1 e0 isr 1 elr -
      register 1 -> leader -1 e1 isr - elr - last 1
      unfence 1 -> leader 1 e2 isr 1 elr -
      register 1 clean -> leader -1 e3 isr - elr 1
      unfence 1 -> leader 1 e4 isr 1 elr -
    `);
  });
});

describe("storage fails under a live broker", () => {
  // The last one to lead holds everything: the partition must not wait for who never comes back.
  it("a last leader that is whole again leads, whatever became of the ELR", () => {
    new Story()
      .kill(3)
      .kill(2)
      .storageFails(1)
      .restart(2, "lost")
      .storageReturns(1)
      .told(`
      create -> leader 1 e0 isr 1,2,3 elr -
      kill 3 -> leader 1 e0 isr 1,2 elr -
      kill 2 -> leader 1 e0 isr 1 elr 2
      storage of 1 fails -> leader -1 e1 isr - elr 2 last 1
      register 2 lost -> leader -1 e1 isr - elr - last 1
      unfence 2 -> leader -1 e1 isr - elr - last 1
      storage of 1 returns -> leader 1 e2 isr 1 elr -
    `);
    new Story()
      .kill(3)
      .kill(2)
      .storageFails(1)
      .storageReturns(1)
      .told(`
      create -> leader 1 e0 isr 1,2,3 elr -
      kill 3 -> leader 1 e0 isr 1,2 elr -
      kill 2 -> leader 1 e0 isr 1 elr 2
      storage of 1 fails -> leader -1 e1 isr - elr 2 last 1
      storage of 1 returns -> leader 1 e2 isr 1 elr 2
    `);
  });

  it("a member whose storage fails while nobody leads is remembered, and leads once it is whole", () => {
    new Story()
      .kill(3)
      .kill(2)
      .kill(1)
      .storageFails(1)
      .restart(2, "lost")
      .restart(1)
      .storageReturns(1)
      .told(`
      create -> leader 1 e0 isr 1,2,3 elr -
      kill 3 -> leader 1 e0 isr 1,2 elr -
      kill 2 -> leader 1 e0 isr 1 elr 2
      kill 1 -> leader -1 e1 isr - elr 1,2
      storage of 1 fails -> leader -1 e1 isr - elr 2 last 1
      register 2 lost -> leader -1 e1 isr - elr - last 1
      unfence 2 -> leader -1 e1 isr - elr - last 1
      register 1 -> leader -1 e1 isr - elr - last 1
      unfence 1 -> leader 1 e2 isr 1 elr -
      storage of 1 returns -> leader 1 e2 isr 1 elr -
    `);
  });

  // It was elected although its log had been set aside, and what was acknowledged was gone.
  it("a last leader that returns with less than it had leads only uncleanly", () => {
    new Story([1])
      .storageFails(1)
      .storageReturns(1, { lost: true })
      .storageReturns(1)
      .elect("unclean")
      .told(`
      create -> leader 1 e0 isr 1 elr -
      storage of 1 fails -> leader -1 e1 isr - elr - last 1
      storage of 1 returns with less -> leader -1 e1 isr - elr - last 1 (lost)
      storage of 1 returns -> leader -1 e1 isr - elr - last 1 (lost)
      elect unclean -> leader 1 e2 isr 1 elr - unclean 1
    `);
  });

  it("a member found to have lost records leaves the ISR, whatever it was registered with", () => {
    new Story()
      .storageReturns(1, { lost: true })
      .storageReturns(3, { lost: true })
      .told(`
      create -> leader 1 e0 isr 1,2,3 elr -
      storage of 1 returns with less -> leader 2 e1 isr 2,3 elr -
      storage of 3 returns with less -> leader 2 e1 isr 2 elr -
    `);
  });

  it("its replica hands over, and a sole one leads again once it is verified", () => {
    new Story().storageFails(1).told(`
      create -> leader 1 e0 isr 1,2,3 elr -
      storage of 1 fails -> leader 2 e1 isr 2,3 elr -
    `);
    new Story([1])
      .storageFails(1)
      .storageReturns(1)
      .told(`
      create -> leader 1 e0 isr 1 elr -
      storage of 1 fails -> leader -1 e1 isr - elr - last 1
      storage of 1 returns -> leader 1 e2 isr 1 elr -
    `);
  });
});

describe("a controlled shutdown", () => {
  it("moves leadership and leaves the ISR while the broker still answers", () => {
    new Story()
      .shutDown(1)
      .kill(1)
      .told(`
      create -> leader 1 e0 isr 1,2,3 elr -
      shut down 1 -> leader 2 e1 isr 2,3 elr -
      kill 1 -> leader 2 e1 isr 2,3 elr -
    `);
  });

  it("does not wait for what nobody else can lead", () => {
    new Story([1])
      .shutDown(1)
      .kill(1)
      .told(`
      create -> leader 1 e0 isr 1 elr -
      shut down 1 -> leader 1 e0 isr 1 elr -
      kill 1 -> leader -1 e1 isr - elr 1
    `);
  });

  it("of everybody leaves the last one leading until it stops", () => {
    new Story()
      .shutDown(1)
      .shutDown(2)
      .shutDown(3)
      .kill(1, 2, 3)
      .told(`
      create -> leader 1 e0 isr 1,2,3 elr -
      shut down 1 -> leader 2 e1 isr 2,3 elr -
      shut down 2 -> leader 3 e2 isr 3 elr 2
      shut down 3 -> leader 3 e2 isr 3 elr 2
      kill 1 2 3 -> leader -1 e3 isr - elr 2,3
    `);
  });
});

describe("an operator elects", () => {
  it("the preferred leader only from the ISR", () => {
    new Story()
      .kill(1)
      .restart(1)
      .elect("preferred")
      .isr(2, 3, 1)
      .elect("preferred")
      .told(`
      create -> leader 1 e0 isr 1,2,3 elr -
      kill 1 -> leader 2 e1 isr 2,3 elr -
      register 1 -> leader 2 e1 isr 2,3 elr -
      unfence 1 -> leader 2 e1 isr 2,3 elr -
      elect preferred: PREFERRED_LEADER_NOT_AVAILABLE -> leader 2 e1 isr 2,3 elr -
      isr 2 3 1 -> leader 2 e1 isr 1,2,3 elr -
      elect preferred -> leader 1 e2 isr 1,2,3 elr -
    `);
  });
});
