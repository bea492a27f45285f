/**
 * Group clients and their coordinator under any interleaving: members come, die, stand still and
 * wake, programs take their time, coordinators move. No two members that the group knows have one
 * partition (G1, G5); what is committed is committed by its owner (G3); and once all is well again
 * everything is divided, each partition to one (G4).
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { GroupWorld, type WorldMember } from "../support/group-world.ts";

const RUNS = 150;
const NAMES = ["A", "B", "C", "D"];
const TOPICS = ["t", "u"];

type Step =
  | {
      readonly type:
        | "subscribe"
        | "done"
        | "busy"
        | "pull"
        | "commit"
        | "leave"
        | "kill"
        | "freeze"
        | "thaw";
      readonly who: number;
      readonly number: number;
    }
  | { readonly type: "move" | "grow" | "pass"; readonly number: number };

const number = fc.nat(9);
const by = (weight: number, type: Extract<Step, { who: number }>["type"]) => ({
  weight,
  arbitrary: fc
    .tuple(fc.nat(NAMES.length - 1), number)
    .map(([who, each]): Step => ({ type, who, number: each })),
});
const at = (weight: number, type: "move" | "grow" | "pass") => ({
  weight,
  arbitrary: number.map((each): Step => ({ type, number: each })),
});
const step: fc.Arbitrary<Step> = fc.oneof(
  by(6, "subscribe"),
  by(10, "done"),
  by(2, "busy"),
  by(3, "pull"),
  by(6, "commit"),
  by(2, "leave"),
  by(2, "kill"),
  by(2, "freeze"),
  by(4, "thaw"),
  at(2, "move"),
  at(1, "grow"),
  at(8, "pass"),
);

class Run {
  readonly world = new GroupWorld();
  readonly #strategy: string;
  #lives = 0;

  constructor(strategy: string) {
    this.#strategy = strategy;
    this.world.autoSteps = false;
    this.world.counts.set("t", 3);
    this.world.counts.set("u", 2);
  }

  take(step: Step): void {
    const { world } = this;
    if ("who" in step) this.#byMember(step);
    else if (step.type === "move") world.move(step.number % 4);
    else if (step.type === "pass") world.pass(step.number * 700);
    else {
      world.counts.set("u", Math.max(world.counts.get("u") ?? 0, 2 + step.number));
      for (const { core, frozen } of world.members.values()) {
        if (!frozen) core.onTopics(world.counts, undefined, world.nowMs);
      }
    }
    world.settle();
    this.check();
  }

  #byMember({ number: given, type, who }: Extract<Step, { who: number }>): void {
    const { world } = this;
    const name = NAMES[who] as string;
    const member = [...world.members.values()].find((each) => each.name.startsWith(name));
    if (type === "subscribe") this.#subscribe(name, member, given);
    else if (member === undefined) return;
    else if (type === "kill") world.kill(member);
    else if (type === "freeze") member.frozen = true;
    else if (type === "thaw") member.frozen = false;
    else if (member.frozen) return;
    else if (type === "done") world.done(member);
    else if (type === "busy") member.waiting = false;
    else if (type === "leave") member.core.member.leave(world.nowMs);
    else if (type === "pull") {
      member.pulls++;
      member.waiting = true;
    } else this.#commit(member, given);
  }

  #subscribe(name: string, member: WorldMember | undefined, given: number): void {
    const { world } = this;
    const topics = given % 3 === 0 ? ["t"] : TOPICS;
    const joining =
      member ??
      world.add(`${name}${++this.#lives}`, {
        strategy: this.#strategy,
        maxPollIntervalMs: 15_000,
        groupInstanceId: given % 2 === 0 ? name : null,
      });
    if (!joining.frozen) joining.core.member.subscribe(topics, world.nowMs);
  }

  #commit(member: WorldMember, given: number): void {
    const { world } = this;
    const offset = {
      topic: "t",
      partition: given % 3,
      offset: given,
      leaderEpoch: 0,
      metadata: "",
    };
    member.core.commit([offset], world.nowMs, (error) => {
      // From outside only while nobody is in the group.
      if (error !== undefined || !member.core.member.isSubscribed) return;
      for (const other of world.present()) {
        if (other !== member) expect(other.core.member.owns("t", offset.partition)).toBe(false);
      }
    });
  }

  check(): void {
    const owners = new Map<string, string>();
    for (const { core, name } of this.world.present()) {
      for (const { partitions, topic } of core.member.owned) {
        for (const partition of partitions) {
          const key = `${topic}-${partition}`;
          expect(owners.get(key), `${key} is ${name}'s`).toBeUndefined();
          owners.set(key, name);
        }
      }
    }
  }

  heal(): void {
    const { world } = this;
    world.autoSteps = true;
    world.move(1);
    for (const member of world.members.values()) {
      member.frozen = false;
      member.waiting = true;
    }
    // The dead are noticed, and every retry has had its turn.
    world.pass(60_000);
    for (const { core } of world.members.values()) {
      core.onTopics(world.counts, undefined, world.nowMs);
    }
    world.pass(20_000);
    this.check();
    const inGroup = [...world.members.values()].filter(
      ({ core: { member } }) => member.isSubscribed && member.failure === undefined,
    );
    const generations = new Set(inGroup.map(({ core }) => core.member.generationId));
    expect(generations.size).toBeLessThanOrEqual(1);
    for (const { core } of inGroup) expect(core.member.isStable).toBe(true);
    const wanted = new Set(inGroup.flatMap(({ core }) => core.member.subscribedTopics));
    for (const topic of wanted) {
      const owned = inGroup.flatMap(({ core }) =>
        core.member.owned.filter((each) => each.topic === topic).flatMap((each) => each.partitions),
      );
      expect(owned.length).toBe(world.counts.get(topic));
    }
  }
}

for (const strategy of ["range", "sticky", "cooperative-sticky"]) {
  test(`members with ${strategy} under any interleaving`, () => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 5, maxLength: 60 }), (steps) => {
        const run = new Run(strategy);
        for (const each of steps) run.take(each);
        run.heal();
      }),
      { numRuns: RUNS },
    );
  }, 120_000);
}
