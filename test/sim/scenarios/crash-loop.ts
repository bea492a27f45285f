/** Recovery that is interrupted again and again must come to the same end. */
import { CONTROLLER_ASIDE, type Story, scenario } from "./story.ts";

const [A, B, C] = [2, 3, 4];
const CRASHES_COUNT = 60;
const EVENTS_APART = 5;

export const crashLoop = scenario(
  "crash-loop",
  "a replica that has to cut its log dies at sixty moments of its recovery, by crash and by power loss",
  CONTROLLER_ASIDE,
  async (story) => {
    await story.produce("m1", "m2", "m3");
    await story.wait(1_500);
    story.cut([A], [B, C]);
    for (let count = 1; count <= 3; count++) story.send(`only A ${count}`, { to: A, acks: 1 });
    await story.until("A alone has it", () => story.logEnd(A) === 6);
    await story.wait(1_500);
    story.losePower(A);
    await story.untilLeader(B);
    story.join([A], [B, C]);
    await story.produce("m4");
    for (let crash = 1; crash <= CRASHES_COUNT; crash++) await dieAfter(story, crash);
    story.start(A);
    await story.untilAtRest();
    const reported = story.said(/^logs recovered$/).filter(({ fields }) => fields["lost"] !== 0);
    story.expectEqual("nothing that was vouched for is missing", reported.length, 0);
    story.expectEqual(
      "nothing was set aside",
      story.said(/quarantined|new directory id/).length,
      0,
    );
  },
);

async function dieAfter(story: Story, crash: number): Promise<void> {
  story.start(A);
  const last = story.world.eventsCount + crash * EVENTS_APART;
  await story.until(`moment ${crash}`, () => story.world.eventsCount >= last);
  if (crash % 2 === 0) story.kill(A);
  else story.losePower(A);
  await story.wait(400);
}
