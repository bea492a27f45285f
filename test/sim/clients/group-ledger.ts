/**
 * What each group has been handed out, all members together: O5, a group commits nothing that no
 * member of it was given, whoever dies and whoever takes over; so nothing is skipped. Only of topics
 * whose logs keep every record. Source: KIP-62; at-least-once delivery.
 */
import type { Offset } from "../../../src/model/ids.ts";
import type { Invariant, RunContext } from "../cluster/run-context.ts";

/** From the log's beginning on: how far everything was handed out, and what lies beyond. */
class Coverage {
  #end: Offset = 0;
  readonly #beyond = new Map<Offset, Offset>();

  get end(): Offset {
    return this.#end;
  }

  add(from: Offset, to: Offset): void {
    if (to <= this.#end) return;
    if (from > this.#end) {
      this.#beyond.set(from, Math.max(to, this.#beyond.get(from) ?? 0));
      return;
    }
    this.#end = to;
    for (let grown = true; grown; ) {
      grown = false;
      for (const [start, end] of this.#beyond) {
        if (start > this.#end) continue;
        this.#beyond.delete(start);
        grown = grown || end > this.#end;
        this.#end = Math.max(this.#end, end);
      }
    }
  }
}

export class GroupLedger implements Invariant {
  readonly #context: Pick<RunContext, "fail">;
  /** Topics that keep every record. */
  readonly #whole: ReadonlySet<string>;
  readonly #covered = new Map<string, Coverage>();

  constructor(context: Pick<RunContext, "fail">, wholeTopics: readonly string[]) {
    this.#context = context;
    this.#whole = new Set(wholeTopics);
  }

  isWhole(topic: string): boolean {
    return this.#whole.has(topic);
  }

  /** Records `from` to before `to` were given to a member's program. */
  delivered(
    groupId: string,
    place: { topic: string; partition: number },
    from: Offset,
    to: Offset,
  ) {
    if (this.#whole.has(place.topic)) this.#coverage(groupId, place).add(from, to);
  }

  /** How far the group has been given everything. */
  end(groupId: string, place: { readonly topic: string; readonly partition: number }): Offset {
    return this.#coverage(groupId, place).end;
  }

  onGroupAnswer({ name, request, result }: Parameters<NonNullable<Invariant["onGroupAnswer"]>>[0]) {
    if (name !== "commit" || result.error !== undefined || request.generationId < 0) return;
    for (const one of request.offsets) {
      if (!this.#whole.has(one.topic)) continue;
      const { end } = this.#coverage(request.groupId, one);
      if (one.offset <= end) continue;
      this.#context.fail(
        "O5 a group skips nothing",
        `${request.memberId} of ${request.groupId} commits ${one.offset} of ${one.topic}-${one.partition}, its members were given everything below ${end}`,
      );
    }
  }

  #coverage(groupId: string, place: { topic: string; partition: number }): Coverage {
    const id = `${groupId} ${place.topic}-${place.partition}`;
    const known = this.#covered.get(id) ?? new Coverage();
    this.#covered.set(id, known);
    return known;
  }
}
