/**
 * Clients that others wrote, unchanged, against three brokers. Ends with `N passed, N failed`; the
 * exit code says the same.
 *
 *     npm run compat [-- --client NAME]... [-- --report FILE]
 *
 * A client that this machine has not, and cannot get, is told of and counts neither way. What is
 * fetched for clients stays in `OTTLA_COMPAT_CACHE`, by default `~/.cache/ottla-compat`.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Admin } from "../../src/client/index.ts";
import { startCluster } from "../../src/testing/index.ts";
import { Checks } from "../proof/checks.ts";
import type { ClientFacts } from "./client.ts";
import { debianPython, pipPython } from "./confluent-kafka.ts";
import { franzGo } from "./franz-go.ts";
import { javaTools } from "./java-tools.ts";
import { Judge } from "./judge.ts";
import { kcat } from "./kcat.ts";
import { Plan } from "./plan.ts";
import { platformatic } from "./platformatic.ts";

const CLIENTS: readonly ClientFacts[] = [
  kcat,
  debianPython,
  pipPython,
  platformatic,
  franzGo,
  javaTools,
];
const START_MS = 120_000;

const checks = new Checks();
// An end by exit takes the brokers and the clients along; by a signal alone they would live on.
process.once("SIGTERM", () => process.exit(143));
process.once("SIGINT", () => process.exit(130));
const began = performance.now();

function say(text: string): void {
  const seconds = ((performance.now() - began) / 1000).toFixed(1).padStart(6);
  process.stdout.write(`${seconds} s  ${text}\n`);
}

/** By the beginning of their names; throws for one that is none. */
function chosen(wanted: readonly string[]): readonly ClientFacts[] {
  const unknown = wanted.filter((name) => !CLIENTS.some((client) => client.name.startsWith(name)));
  if (unknown.length > 0) {
    const known = CLIENTS.map(({ name }) => `"${name}"`).join(", ");
    throw new Error(`--client is ${unknown.join(", ")}; known are ${known}`);
  }
  if (wanted.length === 0) return CLIENTS;
  return CLIENTS.filter(({ name }) => wanted.some((each) => name.startsWith(each)));
}

async function main(clients: readonly ClientFacts[], directory: string): Promise<void> {
  const cache = process.env["OTTLA_COMPAT_CACHE"] ?? join(homedir(), ".cache", "ottla-compat");
  mkdirSync(cache, { recursive: true });
  await using cluster = await startCluster({ brokers: 3, startTimeoutMs: START_MS });
  await using admin = new Admin({ bootstrapServers: cluster.bootstrapServers });
  const world = {
    admin,
    bootstrapServers: cluster.bootstrapServers,
    judge: new Judge(cluster, admin),
    brokerIds: cluster.brokerIds,
    checks,
    say,
  };
  const workshop = {
    bootstrapServers: cluster.kafkaBootstrapServers.join(","),
    cacheDirectory: cache,
    directory,
  };
  const notRun: string[] = [];
  for (const facts of clients) {
    const found = await facts.find(workshop).catch((thrown: unknown) => {
      checks.fail(facts.name, String(thrown));
    });
    if (found === undefined) continue;
    if (found.client === undefined) {
      notRun.push(`!!! ${facts.name} WAS NOT RUN: ${found.notRun}`);
      say(notRun.at(-1) as string);
      continue;
    }
    say(`${facts.name} ${found.client.version}`);
    await new Plan(found.client, world).run();
  }
  for (const line of notRun) say(line);
}

const { values } = parseArgs({
  options: { client: { type: "string", multiple: true }, report: { type: "string" } },
});
const directory = mkdtempSync(join(tmpdir(), "ottla-compat-"));
process.once("exit", () => {
  rmSync(directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
});
try {
  await main(chosen(values.client ?? []), directory);
} catch (thrown) {
  checks.fail("the run", thrown instanceof Error ? String(thrown.stack) : String(thrown));
}
say("done");
const { failed, failures, passed } = checks;
if (values.report !== undefined) {
  writeFileSync(values.report, JSON.stringify({ passed, failed, failures }));
}
process.stdout.write(`${passed} passed, ${failed} failed\n`);
process.exit(failed === 0 ? 0 : 1);
