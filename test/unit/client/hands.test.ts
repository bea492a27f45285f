import { expect, test } from "vitest";
import { PartitionState } from "../../../src/client/core/fetch-core.ts";
import { type Hand, Hands } from "../../../src/client/core/hands.ts";

function stateAt(position: number): PartitionState {
  const state = new PartitionState("t", 0);
  state.position = position;
  state.consumedEpoch = 4;
  return state;
}

function give(hand: Hand, state: PartitionState, from: number): void {
  hand.state = state;
  hand.from = from;
  hand.epochBefore = 3;
}

test("what is in a hand is not processed yet", () => {
  const hands = new Hands();
  const state = stateAt(7);
  expect(hands.processed(state)).toEqual({ offset: 7, leaderEpoch: 4 });
  const { hand } = hands.open();
  give(hand, state, 6);
  expect(hands.holds(state)).toBe(true);
  expect(hands.processed(state)).toEqual({ offset: 6, leaderEpoch: 3 });
  expect(hands.processed(stateAt(7))?.offset).toBe(7);
  hand.state = undefined;
  expect(hands.processed(state)?.offset).toBe(7);
});

test("what is held too long keeps nothing, and is not processed", () => {
  const hands = new Hands();
  const state = stateAt(9);
  const forgotten = hands.open().hand;
  const { hand } = hands.open();
  give(forgotten, state, 5);
  forgotten.sinceMs = 100;
  give(hand, state, 8);
  hand.sinceMs = 300;
  expect(hands.expire(state, 99)).toBe(100);
  expect(hands.expire(state, 100)).toBe(300);
  expect(hands.holds(state)).toBe(true);
  expect(hands.expire(state, 300)).toBeUndefined();
  expect(hands.holds(state)).toBe(false);
  expect(hands.processed(state)?.offset).toBe(5);
  expect(hands.expire(stateAt(9), 1_000)).toBeUndefined();
});

test("of several hands the earliest counts", () => {
  const hands = new Hands();
  const state = stateAt(9);
  for (const from of [8, 5, 7]) give(hands.open().hand, state, from);
  expect(hands.processed(state)?.offset).toBe(5);
  hands.clear();
  expect(hands.processed(state)?.offset).toBe(9);
});

test("what a loop left is acknowledged by the first pull of the next one, and by no other", () => {
  const hands = new Hands();
  const state = stateAt(3);
  const other = hands.open();
  const { hand } = hands.open();
  give(hand, state, 2);
  hands.leave(hand);
  // Nobody works on it: a partition that goes does not wait for it.
  expect(hands.holds(state)).toBe(false);
  expect(hands.processed(state)?.offset).toBe(2);
  hands.acknowledge(other.inherited);
  expect(hands.processed(state)?.offset).toBe(2);
  hands.acknowledge(hands.open().inherited);
  expect(hands.processed(state)?.offset).toBe(3);
});

test("an iteration that threw and goes on has its hand again", () => {
  const hands = new Hands();
  const state = stateAt(3);
  const { hand } = hands.open();
  hands.leave(hand);
  expect(hand.open).toBe(false);
  hands.reopen(hand);
  give(hand, state, 2);
  expect(hands.holds(state)).toBe(true);
});

test("a seek forgets what was handed out before", () => {
  const hands = new Hands();
  const state = stateAt(9);
  give(hands.open().hand, state, 2);
  hands.forget(state);
  expect(hands.processed(state)?.offset).toBe(9);
});

test("a partition without a position has nothing to commit", () => {
  const state = stateAt(0);
  state.position = undefined;
  expect(new Hands().processed(state)).toBeUndefined();
});

test("what the program has committed itself is processed, of a loop that was left too", () => {
  const hands = new Hands();
  const state = stateAt(20);
  const { hand } = hands.open();
  give(hand, state, 10);
  hands.committed(state, { offset: 15, leaderEpoch: 4 });
  expect(hands.processed(state)).toEqual({ offset: 15, leaderEpoch: 4 });
  hands.leave(hand);
  hands.committed(state, { offset: 17, leaderEpoch: 4 });
  expect(hands.processed(state)).toEqual({ offset: 17, leaderEpoch: 4 });
});

test("a commit of less than was done, or of more than was read, changes nothing of that", () => {
  const hands = new Hands();
  const state = stateAt(20);
  give(hands.open().hand, state, 10);
  hands.committed(state, { offset: 5, leaderEpoch: 4 });
  expect(hands.processed(state)).toEqual({ offset: 10, leaderEpoch: 3 });
  hands.committed(state, { offset: 30, leaderEpoch: 4 });
  expect(hands.processed(state)).toEqual({ offset: 20, leaderEpoch: 4 });
});
