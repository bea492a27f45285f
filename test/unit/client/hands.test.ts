import { describe, expect, test } from "vitest";
import type { PartitionState } from "../../../src/client/core/fetch-core.ts";
import { Hands } from "../../../src/client/core/hands.ts";

const EPOCH = 4;

/** Read up to 20; of the messages from 10 on, which are in hand. */
function inHand() {
  const hands = new Hands();
  const state = { position: 20, consumedEpoch: EPOCH } as PartitionState;
  const { hand } = hands.open();
  hand.state = state;
  hand.from = 10;
  hand.epochBefore = 3;
  return { hands, state, hand };
}

describe("what is processed of a partition", () => {
  test("ends before what is in hand, and where it was read to once that is done", () => {
    const { hands, state } = inHand();
    expect(hands.processed(state)).toEqual({ offset: 10, leaderEpoch: 3 });
    hands.clear();
    expect(hands.processed(state)).toEqual({ offset: 20, leaderEpoch: EPOCH });
  });

  test("is at least what the program has committed itself, of a loop that was left too", () => {
    const { hand, hands, state } = inHand();
    hands.committed(state, { offset: 15, leaderEpoch: EPOCH });
    expect(hands.processed(state)).toEqual({ offset: 15, leaderEpoch: EPOCH });
    hands.leave(hand);
    hands.committed(state, { offset: 17, leaderEpoch: EPOCH });
    expect(hands.processed(state)).toEqual({ offset: 17, leaderEpoch: EPOCH });
  });

  test("is no more than was read, and not what lies behind what is in hand", () => {
    const { hands, state } = inHand();
    hands.committed(state, { offset: 5, leaderEpoch: EPOCH });
    expect(hands.processed(state)).toEqual({ offset: 10, leaderEpoch: 3 });
    hands.committed(state, { offset: 30, leaderEpoch: EPOCH });
    expect(hands.processed(state)).toEqual({ offset: 20, leaderEpoch: EPOCH });
  });
});
