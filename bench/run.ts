/**
 * `npm run bench`: every figure of the README's table, the median of several runs with its spread;
 * brokers, client and LevelDB's own floor on the same machine, in the same run.
 */
import { writeFileSync } from "node:fs";
import { Command } from "commander";
import { type Figure, jsonOf, tableOf } from "./report.ts";
import { cleaner } from "./workloads/cleaner.ts";
import { commits } from "./workloads/commits.ts";
import { coordinator } from "./workloads/coordinator.ts";
import { failover } from "./workloads/failover.ts";
import { idleMemory, memorySlope, startup } from "./workloads/footprint.ts";
import { groups } from "./workloads/groups.ts";
import { latency } from "./workloads/latency.ts";
import { levelDbFloor } from "./workloads/leveldb-floor.ts";
import { throughput } from "./workloads/throughput.ts";

interface Options {
  readonly runs: string;
  readonly only?: string[];
  readonly json?: string;
  readonly kills: string;
  readonly gigabytes: string;
  readonly records: string;
}

const program = new Command("bench")
  .description("Measure Ottla on this machine.")
  .option("--runs <n>", "runs of each figure", "3")
  .option(
    "--only <names...>",
    "only these: floor throughput latency startup memory failover groups commits coordinator slope cleaner",
  )
  .option("--kills <n>", "kills of a leader; 0.4 of it of the controller", "50")
  .option("--gigabytes <n>", "data written for the memory slope", "20")
  .option("--records <n>", "records of the log that is cleaned", "2000000")
  .option("--json <file>", "also write the figures there")
  .parse();
const options = program.opts<Options>();
const runs = Number(options.runs);
const kills = Number(options.kills);

const workloads: Readonly<Record<string, () => Promise<Figure[]>>> = {
  floor: () => levelDbFloor(runs),
  throughput: () => throughput(runs),
  latency: () => latency(runs),
  startup: () => startup(Math.max(runs, 5)),
  memory: () => idleMemory(runs),
  failover: () =>
    failover({
      leaderKills: kills,
      controllerKills: Math.round(kills * 0.4),
      bystanderKills: Math.max(3, Math.round(kills / 10)),
    }),
  groups: () => groups(runs),
  commits: () => commits(runs),
  coordinator: () => coordinator(runs),
  cleaner: () => cleaner(runs, Number(options.records)),
  slope: () => memorySlope(Number(options.gigabytes)),
};

const chosen = options.only ?? Object.keys(workloads);
const figures: Figure[] = [];
for (const name of chosen) {
  const workload = workloads[name];
  if (workload === undefined) {
    process.stderr.write(`unknown figure ${name}; there are ${Object.keys(workloads).join(" ")}\n`);
    process.exit(2);
  }
  process.stderr.write(`${name} ...\n`);
  figures.push(...(await workload()));
}
process.stdout.write(`${tableOf(figures)}\n`);
if (options.json !== undefined) writeFileSync(options.json, jsonOf(figures));
else process.stdout.write(`${jsonOf(figures)}\n`);
