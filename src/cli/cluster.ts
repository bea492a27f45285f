/** `ottla cluster ...` */
import type { Command } from "commander";
import { ClusterWatch } from "./cluster-watch.ts";
import {
  type ClusterOptions,
  type OutputOptions,
  withAdmin,
  withCluster,
  withOutput,
} from "./common.ts";
import { writeJson } from "./output.ts";
import { printCluster, withLag } from "./print-cluster.ts";
import { watch } from "./watch.ts";

interface Options extends ClusterOptions, OutputOptions {
  readonly watch: boolean;
}

const WATCH_MS = 500;

export function registerCluster(program: Command): void {
  const cluster = program.command("cluster").description("look at the cluster as a whole");
  withOutput(
    withCluster(
      cluster
        .command("describe")
        .description("show brokers, the active controller, and the quorum's lag")
        .option("--watch", "again twice a second, with what has changed, until Ctrl-C", false)
        .addHelpText(
          "after",
          `
With --watch each broker's leaders and replicas are counted, and the last changes are listed:
brokers that come and go, another controller, other leaders.

Examples:
  $ ottla cluster describe
  $ ottla cluster describe --watch
  $ ottla cluster describe --output json | jq .controllerId`,
        ),
    ),
  ).action((options: Options) =>
    withAdmin(options, async (admin) => {
      if (options.watch) {
        const shown = new ClusterWatch(admin, options.output);
        await watch((clear) => shown.show(clear), WATCH_MS);
        return;
      }
      const description = await admin.describeCluster();
      if (options.output === "json") await writeJson(withLag(description));
      else await printCluster(description);
    }),
  );
}
