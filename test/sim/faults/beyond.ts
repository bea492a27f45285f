/**
 * What still holds once more disks were lost than the promise covers: nobody serves wrong bytes or
 * breaks its metadata, nobody dies again and again over it, and a loss is told of. What does not is
 * every statement that says that data are still there, or that a partition goes on.
 */
import type { Cluster } from "../cluster/cluster.ts";
import type { Stage } from "./stage.ts";

/**
 * Presence of what was acknowledged or committed (P1, P2, P4, P5, P8 to P10, P12, P14, P16), of what
 * producers rely on (I: a log that begins anew knows no sequences), of what disks vouched for (S2,
 * S3, S6), liveness (L), and what clients conclude from all that.
 */
const EXCUSED =
  /^(?:P1|P2|P4|P5|P8|P9|P10|P12|P14|P16|I\d|S2|S3|S6|L\d+)\b|^(?:history|liveness)|consumer|fetch|produce/;
const LOSS = /^P1 /;
/** A broker that says which data it cannot find, or whose metadata nobody holds any more. */
const TELLS = /no leader|unclean election|quarantined|given up|lacks committed|lost/i;

const SETTLE_MS = 20_000;
const QUIET_MS = 10_000;

export class Beyond {
  readonly #cluster: Cluster;
  readonly #stage: Stage;
  #lost: string | undefined;
  #told = false;

  constructor(stage: Stage) {
    this.#stage = stage;
    const { cluster } = stage;
    this.#cluster = cluster;
    cluster.excuse = (invariant, detail) => {
      if (!stage.atlas.beyond || !EXCUSED.test(invariant)) return false;
      if (LOSS.test(invariant)) this.#lost ??= detail;
      return true;
    };
    for (const { node } of cluster.brokers) {
      const { onLog } = node;
      node.onLog = (line) => {
        const isWarning = line.level === "warn" || line.level === "error";
        if (isWarning && stage.atlas.beyond && TELLS.test(line.message)) this.#told = true;
        onLog(line);
      };
    }
  }

  get happened(): boolean {
    return this.#stage.atlas.beyond;
  }

  /** Everything has healed: brokers are up, stay up, and what is lost was told of. */
  async demand(): Promise<void> {
    const { world, brokers } = this.#cluster;
    await world.runFor(SETTLE_MS);
    const lives = brokers.map(({ node }) => node.incarnation?.life ?? -1);
    await world.runFor(QUIET_MS);
    for (const [index, broker] of brokers.entries()) {
      const life = broker.node.incarnation?.life ?? -1;
      if (life === lives[index] && this.#stage.isUp(broker)) continue;
      this.#cluster.fail(
        "no crash loop after a loss",
        `broker ${broker.id} was in life ${lives[index]}, ${QUIET_MS} ms later in ${life}`,
      );
    }
    if (this.#lost === undefined || this.#told) return;
    this.#cluster.fail("a loss is told of", `no broker warned of it: ${this.#lost}`);
  }
}
