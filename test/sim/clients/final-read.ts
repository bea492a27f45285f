/**
 * The end of a history: with everything healed, a new consumer reads every partition from its
 * beginning to its end. What was acknowledged and is not there now is lost.
 */
import { Admin } from "../../../src/client/index.ts";
import type { ClientLife } from "./client-process.ts";
import { type ClientShared, errorCode, historyKey } from "./client-shared.ts";
import { HistoryReader } from "./history-reader.ts";

const POLL_MS = 500;
/** So many polls in a row that bring nothing, and it is begun anew by another process. */
const FRUITLESS_POLLS = 20;

/** True once everything was read. */
export async function readAll(shared: ClientShared, life: ClientLife): Promise<boolean> {
  const { history, bootstrapServers } = shared;
  const { environment, process: p } = life;
  const admin = new Admin({ bootstrapServers, environment, requestTimeoutMs: 5_000 });
  const reader = new HistoryReader(shared, life, {
    prefetchBytes: 1024 * 1024,
    autoOffsetReset: "none",
  });
  try {
    const described = await admin.describeTopics(shared.topics.map(({ name }) => name));
    const partitions = described.flatMap((topic) =>
      topic.partitions.map(({ partition }) => ({ topic: topic.name, partition })),
    );
    const keys = partitions.map(({ topic, partition }) => historyKey(topic, partition));
    const of = history.write({ p, type: "invoke", f: "final", keys });
    const listed = await reader.consumer.endOffsets(partitions);
    const ends = Object.fromEntries(
      listed.map(({ topic, partition, offset }) => [historyKey(topic, partition), offset]),
    ) as Readonly<Record<string, number>>;
    const missing = (): boolean =>
      partitions.some(
        (each) =>
          // A compacted log may end behind its last record: only the consumer knows.
          Math.max(reader.position(each) ?? 0, reader.consumer.position(each) ?? 0) <
          (ends[historyKey(each.topic, each.partition)] ?? 0),
      );
    if (!(await reader.assign(partitions, "beginning"))) return false;
    let polled = shared.counts.polled;
    for (let fruitless = 0; missing(); fruitless++) {
      const error = await reader.poll(POLL_MS);
      if (error !== undefined || fruitless > FRUITLESS_POLLS) {
        history.write({ p, type: "info", f: "final", of, error: error ?? "STALLED" });
        return false;
      }
      if (shared.counts.polled > polled) fruitless = 0;
      polled = shared.counts.polled;
    }
    history.write({ p, type: "ok", f: "final", of, ends });
    return true;
  } catch (thrown) {
    shared.cluster.world.note(`${p} could not read: ${errorCode(thrown)} ${String(thrown)}`);
    return false;
  } finally {
    await reader.consumer.close();
    await admin.close();
  }
}
