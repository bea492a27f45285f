/** confluent-kafka for Python: Debian's, on an old librdkafka, and the newest of the package index. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { CallName, ClientFacts } from "./client.ts";
import { PROGRAMS, programClient } from "./program-client.ts";
import { run } from "./programs.ts";

const PIP_VERSION = "2.16.1";
const INSTALL_MS = 120_000;
const SINCE_2 = "confluent-kafka has it since 2.x";

const PROGRAM = join(PROGRAMS, "confluent-kafka.py");

export const debianPython: ClientFacts = {
  name: "confluent-kafka (Debian)",
  find: async ({ bootstrapServers }) => {
    const python = "/usr/bin/python3";
    try {
      await run([python, "-c", "import confluent_kafka"]);
    } catch {
      return { notRun: `${python} has no confluent_kafka (Debian's python3-confluent-kafka)` };
    }
    const without: Partial<Record<CallName, string>> = {
      deleteRecords: SINCE_2,
      deleteGroup: SINCE_2,
    };
    const command = [python, PROGRAM];
    return {
      client: await programClient({ name: debianPython.name, command, bootstrapServers, without }),
    };
  },
};

export const pipPython: ClientFacts = {
  name: "confluent-kafka (pip)",
  find: async ({ bootstrapServers, cacheDirectory }) => {
    const directory = join(cacheDirectory, `confluent-kafka-${PIP_VERSION}`);
    const python = join(directory, "bin", "python");
    const done = join(directory, "done");
    try {
      if (!existsSync(done)) {
        await run(["python3", "-m", "venv", "--clear", directory], { timeoutMs: INSTALL_MS });
        const pip = ["-m", "pip", "install", "--quiet", `confluent-kafka==${PIP_VERSION}`];
        await run([python, ...pip], { timeoutMs: INSTALL_MS });
        await run(["touch", done]);
      }
    } catch (thrown) {
      return { notRun: `pip cannot bring it: ${String(thrown).slice(0, 300)}` };
    }
    const command = [python, PROGRAM];
    return {
      client: await programClient({
        name: pipPython.name,
        command,
        bootstrapServers,
        without: {},
      }),
    };
  },
};
