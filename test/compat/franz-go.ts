/** franz-go, the client of Kafka's protocol in Go; built from `clients/go`. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { ClientFacts } from "./client.ts";
import { PROGRAMS, programClient } from "./program-client.ts";
import { run } from "./programs.ts";

/** Where Go's own installer puts it, which is not on every PATH. */
const INSTALLED = "/usr/local/go/bin/go";
const BUILD_MS = 300_000;

export const franzGo: ClientFacts = {
  name: "franz-go",
  find: async ({ bootstrapServers, directory }) => {
    const program = join(directory, "franz-go");
    const go = existsSync(INSTALLED) ? INSTALLED : "go";
    try {
      const build = [go, "build", "-mod=readonly", "-o", program, "."];
      await run(build, { directory: join(PROGRAMS, "go"), timeoutMs: BUILD_MS });
    } catch (thrown) {
      return { notRun: `Go cannot build it: ${String(thrown).slice(0, 300)}` };
    }
    const { name } = franzGo;
    const command = [program];
    return { client: await programClient({ name, command, bootstrapServers, without: {} }) };
  },
};
