/** Tells of every change of a partition's leader, as a client of the cluster sees it. */
import type { Admin, TopicDescription } from "../client/index.ts";
import type { DevEvent } from "./dev-supervisor.ts";

type LeaderChanged = Extract<DevEvent, { readonly event: "leader-changed" }>;

interface Leadership {
  readonly leader: number;
  readonly leaderEpoch: number;
}

const PERIOD_MS = 250;
const TIMEOUT_MS = 2_000;

/** What is known of leaders; brokers lag behind each other, so older answers are passed over. */
export class LeaderBook {
  #known: ReadonlyMap<string, Leadership> = new Map();

  /** The changes since the last call; a topic seen for the first time is no change. */
  update(topics: readonly TopicDescription[]): readonly LeaderChanged[] {
    const changes: LeaderChanged[] = [];
    const next = new Map<string, Leadership>();
    for (const { name, id, partitions } of topics) {
      for (const { partition, leader, leaderEpoch } of partitions) {
        const key = `${id}-${partition}`;
        const before = this.#known.get(key);
        if (before !== undefined && leaderEpoch < before.leaderEpoch) {
          next.set(key, before);
          continue;
        }
        next.set(key, { leader, leaderEpoch });
        if (before === undefined || before.leader === leader) continue;
        const previousLeader = before.leader;
        changes.push({
          event: "leader-changed",
          topic: name,
          partition,
          leader,
          previousLeader,
          leaderEpoch,
        });
      }
    }
    this.#known = next;
    return changes;
  }
}

/** Settles once `signal` aborts; never rejects because of the cluster. */
export async function watchLeaders(
  bootstrapServers: readonly string[],
  report: (event: LeaderChanged) => void,
  signal: AbortSignal,
): Promise<void> {
  const { Admin } = await import("../client/index.ts");
  await using admin = new Admin({ bootstrapServers });
  const book = new LeaderBook();
  while (!signal.aborted) {
    const topics = await topicsOf(admin, signal);
    if (topics !== undefined) for (const change of book.update(topics)) report(change);
    await pause(PERIOD_MS, signal);
  }
}

/** Undefined while no broker answers: those that died are told of elsewhere. */
async function topicsOf(
  admin: Admin,
  signal: AbortSignal,
): Promise<readonly TopicDescription[] | undefined> {
  try {
    return await admin.listTopics({ timeoutMs: TIMEOUT_MS, signal });
  } catch {
    return undefined;
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", done);
  });
}
