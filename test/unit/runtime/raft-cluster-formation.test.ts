import { expect, test } from "vitest";
import type { RaftNode } from "../../../src/raft/messages.ts";
import { nextFormationStep, type RaftHello } from "../../../src/runtime/cluster-formation.ts";

const node = (id: number, directoryId = `d${id}`): RaftNode => ({ id, directoryId });
const self = node(1);
const VOTERS = [1, 2, 3];

function hello(speaker: RaftNode, more: Partial<RaftHello> = {}): RaftHello {
  return {
    type: "hello",
    node: speaker,
    clusterId: undefined,
    empty: true,
    formation: [],
    ...more,
  };
}

test("a single voter forms at once", () => {
  expect(nextFormationStep(self, [1], [])).toEqual({ type: "form", voters: [self] });
});

test("a majority is not enough to form", () => {
  expect(nextFormationStep(self, VOTERS, [hello(node(2))])).toEqual({ type: "wait", missing: [3] });
});

test("all voters empty: form, in the order of ids", () => {
  const step = nextFormationStep(self, [3, 1, 2], [hello(node(3)), hello(node(2))]);
  expect(step).toEqual({ type: "form", voters: [node(1), node(2), node(3)] });
});

test("who is no configured voter has no say", () => {
  const stranger = hello(node(9), { empty: false, formation: [node(1), node(9)] });
  expect(nextFormationStep(self, VOTERS, [stranger]).type).toBe("wait");
});

test("a formation that names this very directory is adopted, without waiting for the third", () => {
  const voters = [node(1), node(2), node(3)];
  const formed = hello(node(2), { empty: false, formation: voters });
  expect(nextFormationStep(self, VOTERS, [formed])).toEqual({ type: "form", voters });
});

test("a formation that names another directory of this broker makes it an observer", () => {
  const voters = [node(1, "wiped"), node(2), node(3)];
  const formed = hello(node(2), { empty: false, formation: voters });
  expect(nextFormationStep(self, VOTERS, [formed])).toEqual({ type: "observe" });
});

test("one voter that is not empty: there was a cluster, and none is formed anew", () => {
  const lost = hello(node(3), { empty: false });
  expect(nextFormationStep(self, VOTERS, [hello(node(2)), lost])).toEqual({ type: "observe" });
});

test("two directories of one broker: nobody knows which one is alive", () => {
  const hellos = [hello(node(2)), hello(node(2, "new")), hello(node(3))];
  expect(nextFormationStep(self, VOTERS, hellos)).toEqual({ type: "wait", missing: [2] });
});
