/**
 * What has been handed to the program and not been acknowledged: a message counts as processed once
 * the next one is asked for. So what may be committed of a partition ends before what is still in
 * a hand.
 */
import type { LeaderEpoch, Offset } from "../../model/ids.ts";
import { NONE } from "../../model/ids.ts";
import type { PartitionState } from "./fetch-core.ts";

/** Of one iteration. */
export class Hand {
  /** Undefined: empty. */
  state: PartitionState | undefined;
  /** Offset of the first message in it. */
  from: Offset = 0;
  /** Leader epoch of the last record before it. */
  epochBefore: LeaderEpoch = NONE;
  /** When it was filled. */
  sinceMs = 0;
  /** Its iteration goes on. */
  open = true;
}

export interface Processed {
  readonly offset: Offset;
  readonly leaderEpoch: LeaderEpoch;
}

export class Hands {
  readonly #working = new Set<Hand>();
  /** Of iterations that were left, by `break` or by a throw: nobody knows whether they were done. */
  #left: Hand[] = [];

  /** For an iteration that begins. Its first pull acknowledges what the ones before it left. */
  open(): { readonly hand: Hand; readonly inherited: Hand[] } {
    const hand = new Hand();
    this.#working.add(hand);
    return { hand, inherited: [...this.#left] };
  }

  acknowledge(hands: readonly Hand[]): void {
    this.#left = this.#left.filter((each) => !hands.includes(each));
  }

  /** An iteration that threw goes on after all. */
  reopen(hand: Hand): void {
    hand.open = true;
    this.#left = this.#left.filter((each) => each !== hand);
    this.#working.add(hand);
  }

  /** The iteration has ended, for all that is known. */
  leave(hand: Hand): void {
    hand.open = false;
    if (this.#working.delete(hand) && hand.state !== undefined) this.#left.push(hand);
  }

  /** Reading goes on elsewhere: what was handed out before says nothing about that. */
  forget(state: PartitionState): void {
    for (const hand of this.#all()) if (hand.state === state) hand.state = undefined;
  }

  /** All is processed, says the program itself. */
  clear(): void {
    this.#left = [];
    for (const hand of this.#working) hand.state = undefined;
  }

  /**
   * The program has committed so far itself: what it holds of the partition begins there. Otherwise
   * the commit that is made at the end would take its own back.
   */
  committed(state: PartitionState, { leaderEpoch, offset }: Processed): void {
    for (const hand of this.#all()) {
      if (hand.state !== state || hand.from >= offset) continue;
      hand.from = offset;
      hand.epochBefore = leaderEpoch;
    }
  }

  /** Whether something of the partition is being processed. */
  holds(state: PartitionState): boolean {
    for (const hand of this.#working) if (hand.state === state) return true;
    return false;
  }

  /**
   * Whoever has held something of the partition since then or longer works on it no more, for all
   * that the group is concerned: what it holds is not processed, and nobody waits for it. Returns
   * when the next one will have been held as long; undefined: nothing else is held.
   */
  expire(state: PartitionState, sinceMs: number): number | undefined {
    let next: number | undefined;
    for (const hand of this.#working) {
      if (hand.state !== state) continue;
      if (hand.sinceMs > sinceMs) next = Math.min(next ?? hand.sinceMs, hand.sinceMs);
      else {
        this.#working.delete(hand);
        this.#left.push(hand);
        hand.open = false;
      }
    }
    return next;
  }

  /** How far the partition is processed; undefined while its position is not known. */
  processed(state: PartitionState): Processed | undefined {
    const { position } = state;
    if (position === undefined) return undefined;
    let processed: Processed = { offset: position, leaderEpoch: state.consumedEpoch };
    for (const { epochBefore, from, state: held } of this.#all()) {
      if (held !== state || from >= processed.offset) continue;
      processed = { offset: from, leaderEpoch: epochBefore };
    }
    return processed;
  }

  #all(): Hand[] {
    return [...this.#working, ...this.#left];
  }
}
