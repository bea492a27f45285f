/**
 * Lives of consumers. A tail reads everything and follows; a wanderer assigns, seeks by offset, end
 * and time, pauses and goes on.
 */
import type { TopicPartition } from "../../../src/client/index.ts";
import type { ClientLife } from "./client-process.ts";
import type { ClientShared } from "./client-shared.ts";
import { HistoryReader } from "./history-reader.ts";
import type { ConsumerPlan } from "./workload-plan.ts";

/** How far a wanderer goes back at most. */
const BACK_RECORDS = 60;

export async function consume(
  shared: ClientShared,
  plan: ConsumerPlan,
  life: ClientLife,
): Promise<void> {
  const { prefetchBytes, autoOffsetReset } = plan;
  const reader = new HistoryReader(shared, life, { prefetchBytes, autoOffsetReset });
  if (plan.habit === "tail") await tail(shared, plan, life, reader);
  else await wander(shared, plan, life, reader);
  await reader.consumer.close();
}

function allPartitions({ topics }: ClientShared): readonly TopicPartition[] {
  return topics.flatMap(({ name: topic, partitionsCount }) =>
    Array.from({ length: partitionsCount }, (_, partition) => ({ topic, partition })),
  );
}

async function pollOnce(plan: ConsumerPlan, reader: HistoryReader): Promise<void> {
  const error = await reader.poll(plan.pollMs);
  if (error !== undefined) await reader.recover();
}

async function tail(
  shared: ClientShared,
  plan: ConsumerPlan,
  life: ClientLife,
  reader: HistoryReader,
): Promise<void> {
  let assigned = 0;
  while (!life.ending) {
    const partitions = allPartitions(shared);
    if (partitions.length !== assigned) {
      // New partitions are read from their beginning, the others go on.
      if (assigned === 0) {
        if (!(await reader.assign(partitions, "beginning"))) {
          await life.sleep(200);
          continue;
        }
      } else {
        const places = partitions.map((each) => ({
          ...each,
          offset: reader.position(each) ?? 0,
        }));
        if (!(await reader.assignAt(places))) await reader.recover();
      }
      assigned = partitions.length;
    }
    await pollOnce(plan, reader);
  }
}

async function wander(
  shared: ClientShared,
  plan: ConsumerPlan,
  life: ClientLife,
  reader: HistoryReader,
): Promise<void> {
  const { prng } = life;
  while (!life.ending) {
    const all = allPartitions(shared);
    const some = prng.shuffle(all).slice(0, prng.between(1, all.length));
    if (!(await begin(life, reader, some))) {
      await life.sleep(100);
      continue;
    }
    for (let rounds = prng.between(1, 20); rounds > 0 && !life.ending; rounds--) {
      await pollOnce(plan, reader);
      if (!prng.chance(1, 4)) continue;
      const place = prng.pick(some);
      if (prng.chance(1, 2)) {
        reader.consumer.pause([place]);
        await pollOnce(plan, reader);
        reader.consumer.resume([place]);
      } else {
        // Back a little: to read everything again and again would be most of the run.
        const position = reader.position(place) ?? 0;
        reader.seek({ ...place, offset: Math.max(0, position - prng.below(BACK_RECORDS)) });
      }
    }
  }
}

/** Assigns from somewhere; false if the cluster would not say where that is. */
async function begin(
  life: ClientLife,
  reader: HistoryReader,
  partitions: readonly TopicPartition[],
): Promise<boolean> {
  const { prng } = life;
  const from = prng.chance(1, 12)
    ? "beginning"
    : prng.pick(["end", "offset", "offset", "time"] as const);
  if (from === "beginning" || from === "end") return await reader.assign(partitions, from);
  try {
    const [starts, ends] = await Promise.all([
      reader.consumer.beginningOffsets(partitions),
      reader.consumer.endOffsets(partitions),
    ]);
    if (from === "offset") {
      const places = starts.map(({ topic, partition, offset: start }, index) => {
        const end = Math.max(start, ends[index]?.offset ?? start);
        const offset = Math.max(start, end - prng.below(BACK_RECORDS));
        return { topic, partition, offset };
      });
      return await reader.assignAt(places);
    }
    const timestampMs = Math.max(0, life.environment.clock.wallMs() - prng.below(3_000));
    const found = await reader.consumer.offsetsForTimes(
      partitions.map((each) => ({ ...each, timestampMs })),
    );
    const places = found.map(({ topic, partition, offset }, index) => ({
      topic,
      partition,
      offset: offset ?? ends[index]?.offset ?? 0,
    }));
    return await reader.assignAt(places);
  } catch (thrown) {
    reader.expect(thrown);
    return false;
  }
}
