/**
 * P6: of each replica, log start <= high watermark <= log end, on its disk and in what leaders
 * tell, and a log start that is told is on the disk already, or a crash would undo a deletion that
 * was acknowledged; S6 with it: what is remembered beside a log is never ahead of it; P19: a log start is
 * raised only over what lies on the disks of `min.insync.replicas` replicas, so that neither
 * retention nor deletion removes what is not committed. Sources: KIP-101, KIP-107, KIP-405.
 */
import { isStrict, minIsrOf } from "../../../src/metadata/image-configs.ts";
import type { Offset } from "../../../src/model/ids.ts";
import {
  type Invariant,
  partitionByKey,
  type RunContext,
  topicOfKey,
} from "../cluster/run-context.ts";

export function offsetsInOrder(context: RunContext): Invariant {
  function endOf(node: string, key: string): Offset {
    const head = context.states.head(node, key);
    // An empty log ends where it starts; one that is being emptied is about to.
    const started = Math.max(head?.logStartOffset ?? 0, head?.cut?.offset ?? 0);
    return Math.max(started, context.logs.log(node, key)?.endOffset ?? 0);
  }

  function isCommitted(key: string, offset: Offset): boolean {
    const image = context.newestImage();
    const topic = topicOfKey(image, key);
    const partition = partitionByKey(image, key);
    if (topic === undefined || partition === undefined) return true;
    const wanted = minIsrOf(image, topic, partition.replicas.length);
    const holders = partition.replicas.filter((id) => endOf(context.nodeOf(id), key) >= offset);
    return holders.length >= wanted - (context.anyWiped ? 1 : 0);
  }

  function checkStart(node: string, key: string, told: Offset): void {
    const start = context.states.head(node, key)?.logStartOffset ?? 0;
    if (told <= start) return;
    context.fail(
      "P6 a log start is durable before it is told",
      `${node} tells log start ${told} of ${key}, on its disk is ${start}`,
    );
  }

  return {
    onSavedHighWatermark(node, key, offset, restored) {
      // Of a deleted topic, what is remembered goes after the log.
      const isGone = partitionByKey(context.newestImage(), key) === undefined;
      if (restored || isGone || offset <= endOf(node, key)) return;
      context.fail(
        "S6 what is remembered is not ahead of the log",
        `${node} saves high watermark ${offset} of ${key}, on its disk are ${endOf(node, key)}`,
      );
    },
    onHead(node, key, head, restored, before) {
      if (restored || head.cut !== null) return;
      // A head is also written to say that its log is clean, or no longer. Where the log began before
      // was judged then; who else held it may have given up its copy since.
      const raised = before === undefined || before.cut?.reset === true ? 0 : before.logStartOffset;
      if (head.logStartOffset <= raised) return;
      if (isCommitted(key, head.logStartOffset)) return;
      context.fail(
        "P19 nothing uncommitted is deleted",
        `${node} starts ${key} at ${head.logStartOffset}, too few replicas hold what is below`,
      );
    },
    onLife({ node }) {
      const image = context.newestImage();
      for (const [key, { end }] of context.states.marks(node.name)) {
        const topic = topicOfKey(image, key);
        if (topic === undefined || !isStrict(image, topic, new Map())) continue;
        const saved = context.states.savedHighWatermark(node.name, key);
        if (saved <= Math.max(endOf(node.name, key), end)) continue;
        context.fail(
          "S6 what is remembered is not ahead of the log",
          `${node.name} finds high watermark ${saved} of ${key} and a log up to ${endOf(node.name, key)}`,
        );
      }
    },
    onFrame({ from, fetching, fetched }) {
      checkStart(from.node, fetching.key, fetched.logStartOffset);
      if (fetched.logStartOffset <= fetched.highWatermark) return;
      context.fail(
        "P6 offsets are in order",
        `${from.node} tells log start ${fetched.logStartOffset} and high watermark ${fetched.highWatermark} of ${fetching.key}`,
      );
    },
    onFetched({ where, key }, { error, logStartOffset, lastStableOffset, highWatermark }) {
      if (error !== undefined) return;
      if (key !== undefined) checkStart(where.node, key, logStartOffset);
      if (logStartOffset <= lastStableOffset && lastStableOffset <= highWatermark) return;
      context.fail(
        "P6 offsets are in order",
        `${where.node} serves ${key ?? "?"} with ${logStartOffset}, ${lastStableOffset} and ${highWatermark}`,
      );
    },
  };
}
