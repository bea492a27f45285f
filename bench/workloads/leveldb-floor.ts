/**
 * What LevelDB itself reaches here: the same batches, six databases, one synced write at a time
 * each. Three replicas on one machine write every byte three times, so a cluster's floor is a third.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ClassicLevel } from "classic-level";
import type { Figure } from "../report.ts";

const BATCH_BYTES = 128 * 1024;
const DATABASES = 6;
const TOTAL_BYTES = 512 * 1024 * 1024;

export async function levelDbFloor(runs: number): Promise<Figure[]> {
  const values: number[] = [];
  for (let run = 0; run < runs; run++) values.push(await once());
  return [{ name: "LevelDB alone, 128 KiB batches, six databases, fsync", unit: "MB/s", values }];
}

async function once(): Promise<number> {
  const directory = await mkdtemp(join(tmpdir(), "ottla-bench-level-"));
  try {
    const value = Buffer.alloc(BATCH_BYTES, "ottla");
    const writes = TOTAL_BYTES / BATCH_BYTES / DATABASES;
    const began = performance.now();
    await Promise.all(
      Array.from({ length: DATABASES }, async (_, index) => {
        const database = new ClassicLevel<Buffer, Buffer>(join(directory, String(index)), {
          keyEncoding: "buffer",
          valueEncoding: "buffer",
          compression: false,
          writeBufferSize: 4 * 1024 * 1024,
          maxFileSize: 64 * 1024 * 1024,
        });
        await database.open();
        for (let at = 0; at < writes; at++) {
          const key = Buffer.alloc(8);
          key.writeBigUInt64BE(BigInt(at * 128));
          await database.put(key, value, { sync: true });
        }
        await database.close();
      }),
    );
    return TOTAL_BYTES / 1e6 / ((performance.now() - began) / 1000);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
