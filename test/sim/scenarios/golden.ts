/**
 * Scenarios of Raft alone that are golden scripts already: the script is played, and what it prints
 * must be what stands in it.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { RaftEnvironment } from "../../golden/raft/environment.ts";
import { runScript } from "../../support/golden-script.ts";
import type { Scenario } from "./scenario.ts";

/** From the root of the repository, where every command and test of it runs. */
const SCRIPTS = "test/golden/raft";

function golden(name: string, title: string, script: string): Scenario {
  return {
    name,
    title,
    run: async () => {
      const wanted = readFileSync(join(process.cwd(), SCRIPTS, `${script}.txt`), "utf8");
      const environment = new RaftEnvironment();
      let message: string | undefined;
      let stepsCount = 0;
      try {
        const found = runScript(wanted, (command) => {
          stepsCount++;
          return environment.run(command);
        });
        message = firstDifference(wanted.split("\n"), found.split("\n"));
      } catch (thrown) {
        message = thrown instanceof Error ? thrown.message : String(thrown);
      }
      const invariant = `${script}.txt goes as written`;
      return {
        seed: 0,
        traceHash: "00000000",
        virtualMs: 0,
        eventsCount: stepsCount,
        acknowledgedCount: 0,
        faultsCount: 0,
        failure:
          message === undefined ? undefined : { invariant, message: `${invariant}: ${message}` },
        timeline: [],
      };
    },
  };
}

function firstDifference(wanted: readonly string[], found: readonly string[]): string | undefined {
  const at = wanted.findIndex((line, index) => line !== found[index]);
  if (at < 0) return undefined;
  return `line ${at + 1} is "${found[at] ?? ""}", not "${wanted[at]}"`;
}

export const GOLDEN: readonly Scenario[] = [
  golden(
    "voter-set-before-own-entry",
    "Ongaro 2015: no voter set is proposed before an entry of the leader's own term is committed",
    "membership",
  ),
  golden(
    "voter-set-falls-back",
    "an uncommitted voter set ends with the entry that a new leader cuts off",
    "membership-rollback",
  ),
  golden(
    "voter-set-forgotten",
    "an uncommitted voter set ends with its entry, also where no other set takes its place",
    "membership-forgotten",
  ),
  golden(
    "vote-once",
    "a vote is given once a term, for no log that lacks what is committed, and survives a restart",
    "vote-rules",
  ),
  golden(
    "vote-survives",
    "Databend #1051: of two candidates of one term only one gets the vote of a node that crashed",
    "vote-survives",
  ),
  golden(
    "late-completion",
    "etcd #14370: the late completion of a write vouches for nothing that has replaced its entries",
    "late-completion",
  ),
  golden(
    "mixed-snapshots",
    "etcd #18055: the pieces of two leaders' snapshots never make one",
    "snapshot-leader-change",
  ),
  golden(
    "newer-snapshot",
    "etcd #20657: the pieces of a newer snapshot never join those of an older one",
    "snapshot-newer",
  ),
  golden(
    "stale-leader",
    "a leader of an earlier term finds out, and what it appended alone is gone",
    "stale-leader",
  ),
  golden(
    "lost-snapshot-piece",
    "a piece of a snapshot is lost, and sent again after an election timeout",
    "snapshot-late",
  ),
  golden(
    "commit-of-own-term",
    "Raft, figure 8: entries of earlier terms commit only below one of the leader's own",
    "commit-rule",
  ),
  golden(
    "conflicting-logs",
    "logs that have parted find their last common entry, a term at a time",
    "conflict",
  ),
  golden(
    "observer-ahead",
    "an observer that went ahead of the leader's term as a voter brings the cluster there, and follows",
    "observer-ahead",
  ),
  golden(
    "leader-removed-uncommitted",
    "thesis 4.2.2: who is left out by an entry that is not committed may be needed to commit it",
    "leader-removed-uncommitted",
  ),
  golden("pre-vote", "thesis 9.6: who hears from a live leader refuses pre-votes", "pre-vote"),
  golden(
    "check-quorum",
    "thesis 6.2: a leader that a majority does not answer stops being one",
    "check-quorum",
  ),
  golden(
    "durable-before-answered",
    "what an answer promises is durable before the answer leaves",
    "replication",
  ),
];
