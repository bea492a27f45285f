import { Admin, Consumer } from "../../src/client/index.ts";
import type { ReadRecord } from "./ledger.ts";

/** Every record of every partition, from the beginning to what is the end now. */
export async function* readWhole(
  bootstrapServers: readonly string[],
  topic: string,
  partitionsCount: number,
): AsyncGenerator<readonly ReadRecord[]> {
  const partitions = Array.from({ length: partitionsCount }, (_, partition) => ({
    topic,
    partition,
  }));
  await using admin = new Admin({ bootstrapServers });
  const ends = new Map<number, number>();
  const queries = partitions.map((each) => ({ ...each, offset: "end" as const }));
  for (const { partition, offset } of await admin.listOffsets(queries)) {
    if (offset > 0) ends.set(partition, offset);
  }
  await using consumer = new Consumer({ bootstrapServers, autoOffsetReset: "none" });
  await consumer.assign(partitions.map((each) => ({ ...each, offset: "beginning" as const })));
  if (ends.size === 0) return;
  for await (const { messages, partition } of consumer.batches()) {
    yield messages;
    const last = messages.at(-1);
    if (last !== undefined && last.offset + 1 >= (ends.get(partition) ?? 0)) ends.delete(partition);
    if (ends.size === 0) return;
  }
}
