/** `ottla log ...`: what can be said of data directories while no broker uses them. */
import { resolve } from "node:path";
import type { Command } from "commander";
import type { ReplicaComparison, ReplicaFindings, VerifyPorts } from "../storage/verify.ts";
import { type OutputOptions, withOutput } from "./common.ts";
import { EXIT } from "./exit-codes.ts";
import { formatTable, note, writeJson, writeLine } from "./output.ts";

interface VerifyOptions extends OutputOptions {
  readonly compare?: string;
}

export function registerLog(program: Command): void {
  const log = program.command("log").description("check data on disk, without a broker");
  withOutput(
    log
      .command("verify")
      .description("check every batch of a data directory, or compare it with another one")
      .argument("<directory>", "an entry of log.dirs, or the directory of one replica")
      .option("--compare <directory>", "another broker's, to be compared batch by batch")
      .addHelpText(
        "after",
        `
The brokers must be stopped. The exit code is 5 if anything is damaged or differs.

Examples:
  $ ottla log verify .ottla/dev/broker-1/data
  $ ottla log verify .ottla/dev/broker-1/data --compare .ottla/dev/broker-2/data`,
      ),
  ).action(async (directory: string, options: VerifyOptions) => {
    const { nodeFiles } = await import("../adapters/node-files.ts");
    const { levelStores } = await import("../adapters/level-stores.ts");
    const { nativeCodecs } = await import("../adapters/native-codecs.ts");
    const { systemClock } = await import("../adapters/system-clock.ts");
    const ports = {
      files: nodeFiles,
      stores: levelStores,
      codecs: nativeCodecs,
      clock: systemClock,
    };
    const path = resolve(directory);
    const sound =
      options.compare === undefined
        ? await verify(ports, path, options)
        : await compare(ports, path, resolve(options.compare), options);
    if (!sound) process.exitCode = EXIT.RECORDS_FAILED;
  });
}

async function verify(ports: VerifyPorts, path: string, options: VerifyOptions): Promise<boolean> {
  const { verifyDirectory } = await import("../storage/verify.ts");
  const found: ReplicaFindings[] = [];
  for await (const replica of verifyDirectory(ports, path)) {
    if (options.output === "json") await writeJson(replica);
    found.push(replica);
  }
  if (options.output === "table") {
    const rows = found.map((each) => [
      each.topic,
      each.partition,
      each.segmentsCount,
      each.batchesCount,
      each.recordsCount,
      each.sizeBytes,
      each.logStartOffset,
      each.logEndOffset,
      each.defects.length,
    ]);
    const head = ["Topic", "Partition", "Segments", "Batches", "Records", "Bytes"];
    const offsets = ["LogStartOffset", "LogEndOffset", "Defects"];
    await writeLine(await formatTable([...head, ...offsets], rows));
  }
  for (const { topic, partition, defects } of found) {
    for (const { kind, message, offset } of defects) {
      note(`${topic}-${partition}: ${kind} at offset ${offset}: ${message}`);
    }
  }
  return found.every(({ defects }) => defects.length === 0);
}

async function compare(
  ports: VerifyPorts,
  path: string,
  other: string,
  options: VerifyOptions,
): Promise<boolean> {
  const { compareReplicas } = await import("../storage/verify.ts");
  const { compared, onlyInFirst, onlyInSecond } = await compareReplicas(ports, path, other);
  if (options.output === "json") {
    for (const each of compared) {
      await writeJson({ ...each, difference: each.difference ?? null, equal: isEqual(each) });
    }
  } else {
    const rows = compared.map((each) => [
      each.topic,
      each.partition,
      each.batchesCount,
      each.from,
      each.upTo,
      isEqual(each) ? "equal" : "DIFFERENT",
    ]);
    const head = ["Topic", "Partition", "Batches", "From", "UpTo", "Result"];
    await writeLine(await formatTable(head, rows));
  }
  for (const { topic, partition, difference } of compared) {
    if (difference === undefined) continue;
    note(`${topic}-${partition}: at offset ${difference.offset}: ${difference.message}`);
  }
  // A replica that only one broker holds is no difference: not every broker holds every partition.
  for (const { topic, partition } of onlyInFirst) note(`${topic}-${partition}: only in ${path}`);
  for (const { topic, partition } of onlyInSecond) note(`${topic}-${partition}: only in ${other}`);
  return compared.every(isEqual);
}

function isEqual({ difference }: ReplicaComparison): boolean {
  return difference === undefined;
}
