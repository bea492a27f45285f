/**
 * The coordinator dies at each step of a rebalance, and of a commit: what was told to anybody, the
 * next one knows; what was not, may be so or not.
 */
import { type Story, scenario } from "./story.ts";
import { GROUP_OVERRIDES, StoryGroup } from "./story-members.ts";

export const coordinatorDiesInARebalance = scenario(
  "coordinator-dies-in-a-rebalance",
  "the coordinator dies while members join, between join and sync, and while they sync",
  { overrides: GROUP_OVERRIDES },
  async (story) => {
    const group = new StoryGroup(story, "moved");
    await group.found();
    group.add("first");
    group.add("second");
    await group.untilStable();
    const steps: readonly (readonly [string, (name: string) => Promise<void>])[] = [
      [
        "as one joins",
        async (name) => {
          const late = group.add(name);
          await group.until("it is known", () => late.memberId !== "");
          await group.until("it joins again", () => late.waits);
        },
      ],
      [
        "between join and sync",
        async (name) => {
          for (const member of [...group.members, group.add(name)]) member.holdsBack = true;
          const { members } = group;
          await group.until("all have joined", () =>
            members.every(({ state }) => state === "syncing"),
          );
        },
      ],
      [
        "as all sync",
        async (name) => {
          const late = group.add(name);
          await group.until("it syncs", () => late.state === "syncing" && late.waits);
        },
      ],
      [
        "as soon as they are told",
        async (name) => {
          const late = group.add(name);
          await group.until("it is in", () => late.state === "stable");
        },
      ],
    ];
    for (const [what, play] of steps) {
      const { generation } = group;
      await play(what.replaceAll(" ", "-"));
      await takeOver(story, group);
      for (const member of group.members) member.holdsBack = false;
      await group.untilStable();
      story.expect(`${what}: its generation rises`, group.generation > generation);
      const ownersCount = group.members.filter(({ owned }) => owned.length > 0).length;
      story.expectEqual(`${what}: the partition has an owner`, ownersCount, 1);
    }
  },
);

export const commitThatNobodyHas = scenario(
  "commit-that-nobody-has",
  "a coordinator that is cut off takes a commit and dies: it was not acknowledged, or it is there",
  { overrides: GROUP_OVERRIDES },
  async (story) => {
    await story.produce("one", "two", "three");
    const group = new StoryGroup(story, "cut");
    await group.found();
    const member = group.add("member");
    await group.untilStable();
    await group.commit(member, 1);
    const { coordinator, groupId } = group;
    const others = story.replicas.filter((id) => id !== coordinator);
    story.cut([coordinator], others);
    const place = { topic: "orders", partition: 0, leaderEpoch: -1, metadata: "", retentionMs: -1 };
    const { memberId, generation: generationId } = member;
    const identity = { groupId, memberId, generationId, groupInstanceId: null };
    const called = story.clients.call(coordinator, "a commit of 2", (api) =>
      api.offsetCommit({ ...identity, offsets: [{ ...place, offset: 2 }] }),
    );
    await story.wait(200);
    story.losePower(coordinator);
    await group.until("another one coordinates", () => group.coordinator !== coordinator);
    story.join([coordinator], others);
    story.start(coordinator);
    const isTold = called.value !== undefined && called.value.error === undefined;
    const committed = await group.committed();
    story.expect("what was acknowledged is there", !isTold || committed === 2, `${committed}`);
    await group.untilStable();
  },
);

async function takeOver(story: Story, group: StoryGroup): Promise<void> {
  const { coordinator } = group;
  story.losePower(coordinator);
  await group.until("another one coordinates", () => group.coordinator !== coordinator);
  story.start(coordinator);
  await group.until("the cluster is at rest", () => story.cluster.atRest, 60_000);
}
