/**
 * Whom a fault hits: a broker by its id, or by the role that it has at that moment. Roles keep a
 * plan meaningful while it is shrunk: "the leader of partition 0" stays the leader however many
 * other faults are left out. Resolved at run time from what is seen outside, so that the same
 * course of the run gives the same broker.
 */
import { z } from "zod";
import type { RaftStreamMessage } from "../../../src/raft/messages.ts";
import type { Cluster, SimBroker } from "../cluster/cluster.ts";
import { partitionsOf } from "../cluster/run-context.ts";

export type Target =
  | number
  | "active controller"
  | `leader of partition ${number}`
  | `follower of partition ${number}`;

const ROLE = /^(leader|follower) of partition (\d{1,6})$/;

export const target = z.custom<Target>(
  (value) =>
    (typeof value === "number" && Number.isInteger(value) && value > 0) ||
    value === "active controller" ||
    (typeof value === "string" && ROLE.test(value)),
  "a broker id, 'active controller', 'leader of partition N' or 'follower of partition N'",
);

/** Knows the active controller by what leaders of the metadata quorum send. */
export class Roles {
  readonly #cluster: Cluster;
  #term = 0;
  #leader = -1;

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
    cluster.network.onSend.push(({ channel, message }) => {
      if (channel !== "raft") return;
      const sent = message as RaftStreamMessage;
      if (sent.type !== "append-request" || sent.term < this.#term) return;
      this.#term = sent.term;
      this.#leader = sent.from.id;
    });
  }

  /** The newest term in which anybody was seen to lead the quorum; 0 before the first. */
  get term(): number {
    return this.#term;
  }

  /** Undefined: nobody has that role now. */
  resolve(wanted: Target): SimBroker | undefined {
    const { brokers } = this.#cluster;
    if (typeof wanted === "number") return brokers[wanted - 1];
    if (wanted === "active controller") return brokers[this.#leader - 1];
    const [, role, number] = ROLE.exec(wanted) as unknown as [string, string, string];
    const partitions = [...partitionsOf(this.#cluster.newestImage())];
    if (partitions.length === 0) return undefined;
    const [, { leader, isr }] = partitions[
      Number(number) % partitions.length
    ] as (typeof partitions)[0];
    const id = role === "leader" ? leader : (isr.find((each) => each !== leader) ?? -1);
    return brokers[id - 1];
  }
}
