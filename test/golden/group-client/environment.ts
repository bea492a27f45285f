/**
 * Golden scripts of group clients against the coordinator itself (`test/support/group-world.ts`).
 * What is shown: calls but for heartbeats, answers of joins and syncs, refusals, steps.
 *
 *   topics t=4 u=2                topics and their partitions; members look again
 *   subscribe A t u [strategy=cooperative-sticky] [instance=i] [session=ms] [poll=ms]
 *   steps auto | manual           whether what a rebalance asks of programs is done at once
 *   done A                        its oldest step is done
 *   busy A | waits A              its program works on a message, or waits for one
 *   pull A                        it asks for the next
 *   commit A t-0:5 ...
 *   leave A, kill A, freeze A, thaw A
 *   move to=2                     another broker coordinates; 0: none
 *   pass ms=100                   time passes
 *   owned                         who has what
 */
import type { Command } from "../../support/golden-script.ts";
import { GroupWorld, type WorldMember } from "../../support/group-world.ts";

export class GroupClientEnvironment {
  readonly #world: GroupWorld;
  #lines: string[] = [];

  constructor() {
    this.#world = new GroupWorld({ log: (line) => this.#lines.push(line) });
  }

  run(command: Command): string {
    this.#lines = [];
    this.#interpret(command);
    this.#world.settle();
    return this.#lines.length === 0 ? "ok" : this.#lines.join("\n");
  }

  #interpret({ name, options, words }: Command): void {
    const world = this.#world;
    const [who = "", ...rest] = words;
    switch (name) {
      case "topics":
        for (const [topic, count] of options) world.counts.set(topic, Number(count));
        for (const { core } of world.members.values()) {
          core.onTopics(world.counts, undefined, world.nowMs);
        }
        return;
      case "subscribe":
        this.#subscribe(who, rest, options);
        return;
      case "steps":
        world.autoSteps = who === "auto";
        return;
      case "done":
        world.done(world.member(who));
        return;
      case "busy":
        world.member(who).waiting = false;
        return;
      case "waits":
        world.member(who).waiting = true;
        return;
      case "pull":
        world.member(who).pulls++;
        return;
      case "commit":
        this.#commit(world.member(who), rest);
        return;
      case "leave":
        world.member(who).core.member.leave(world.nowMs);
        return;
      case "kill":
        world.kill(world.member(who));
        return;
      case "freeze":
        world.member(who).frozen = true;
        return;
      case "thaw":
        world.member(who).frozen = false;
        return;
      case "move":
        world.move(Number(options.get("to")));
        return;
      case "pass":
        world.pass(Number(options.get("ms")));
        return;
      case "owned":
        for (const member of world.members.values()) this.#lines.push(owned(member));
        return;
      default:
        throw new Error(`there is no command ${name}`);
    }
  }

  #subscribe(name: string, topics: readonly string[], options: ReadonlyMap<string, string>): void {
    const world = this.#world;
    const member =
      world.members.get(name) ??
      world.add(name, {
        strategy: options.get("strategy") ?? "range",
        groupInstanceId: options.get("instance") ?? null,
        ...(options.has("session") ? { sessionTimeoutMs: Number(options.get("session")) } : {}),
        ...(options.has("poll") ? { maxPollIntervalMs: Number(options.get("poll")) } : {}),
      });
    member.core.member.subscribe(topics, world.nowMs);
  }

  #commit({ core, name }: WorldMember, words: readonly string[]): void {
    const offsets = words.map((word) => {
      const [partition = "", offset] = word.split(":");
      const at = partition.lastIndexOf("-");
      return {
        topic: partition.slice(0, at),
        partition: Number(partition.slice(at + 1)),
        offset: Number(offset),
        leaderEpoch: 0,
        metadata: "",
      };
    });
    core.commit(offsets, this.#world.nowMs, (error) => {
      this.#lines.push(`${name} committed: ${error?.code ?? "ok"}`);
    });
  }
}

function owned({ core: { member }, name }: WorldMember): string {
  const parts = member.owned.map((each) => `${each.topic}-${each.partitions.join("+")}`);
  const failure = member.failure === undefined ? "" : ` failed: ${member.failure.code}`;
  return `${name} generation=${member.generationId} ${parts.join(" ") || "nothing"}${failure}`;
}
