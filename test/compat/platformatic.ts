/** `@platformatic/kafka`, by the Node that it needs, whatever this runs on. */
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { ClientFacts } from "./client.ts";
import { PROGRAMS, programClient } from "./program-client.ts";
import { run } from "./programs.ts";

const VERSION = "2.12.1";
const NODE_VERSION = "24.9.0";
const INSTALL_MS = 120_000;

export const platformatic: ClientFacts = {
  name: "@platformatic/kafka",
  find: async ({ bootstrapServers, cacheDirectory }) => {
    const directory = join(cacheDirectory, `platformatic-${VERSION}-node-${NODE_VERSION}`);
    const done = join(directory, "done");
    try {
      if (!existsSync(done)) {
        mkdirSync(directory, { recursive: true });
        writeFileSync(join(directory, "package.json"), JSON.stringify({ private: true }));
        const packages = [`node@${NODE_VERSION}`, `@platformatic/kafka@${VERSION}`];
        const install = ["npm", "install", "--no-audit", "--no-fund", ...packages];
        await run(install, { directory, timeoutMs: INSTALL_MS });
        writeFileSync(done, "");
      }
    } catch (thrown) {
      return { notRun: `npm cannot bring it: ${String(thrown).slice(0, 300)}` };
    }
    const node = join(directory, "node_modules", ".bin", "node");
    const command = [node, join(PROGRAMS, "platformatic.mjs"), directory];
    const { name } = platformatic;
    const without = { assign: "it consumes in groups only" };
    return { client: await programClient({ name, command, bootstrapServers, without }) };
  },
};
