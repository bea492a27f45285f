/** Rare paths of the active controller: what it is asked, and what it decides about brokers. */
import type { RegisterBroker } from "../../../src/metadata/commands.ts";
import type { MetadataImage } from "../../../src/metadata/image.ts";
import type { ErrorCode } from "../../../src/model/errors.ts";
import type { Hit } from "./probe-taps.ts";
import type { ProbeName } from "./probes.ts";
import type { ControllerRequest, Invariant, RunContext } from "./run-context.ts";

const ISR_REFUSALS: Partial<Record<ErrorCode, ProbeName>> = {
  INVALID_UPDATE_VERSION: "isr-change-with-old-partition-epoch",
  FENCED_LEADER_EPOCH: "isr-change-of-a-fenced-leader",
  INELIGIBLE_REPLICA: "isr-change-with-an-ineligible-replica",
};

export function controllerProbes(context: RunContext, hit: Hit): Invariant {
  const isrChanges = new Set<ControllerRequest>();
  /** Those that gave out producer ids. */
  const idGivers = new Set<string>();
  return {
    onQuorum({ node, before, after }) {
      const begins = after.role === "leader" && before?.role !== "leader";
      if (!begins) return;
      for (const request of isrChanges) {
        const { life, node: asker } = request.from;
        if (context.lifeOf(asker)?.life === life && request.to !== node) {
          hit("controller-change-amid-an-isr-change");
        }
      }
      isrChanges.clear();
    },
    onControllerRequest(request) {
      const { name, body } = request;
      if (name === "alter-partition") isrChanges.add(request);
      else if (name === "replicas-failed") hit("replica-reported-failed");
      else if (name === "register-broker") {
        const { lostReplicas, cleanShutdownEpoch, brokerId } = body as RegisterBroker;
        if (lostReplicas.length > 0) hit("lost-tail-reported");
        const known = request.image.brokers.get(brokerId);
        if (known === undefined) return;
        hit("registration-of-a-new-life");
        if (known.epoch === cleanShutdownEpoch) hit("clean-shutdown-recognized");
      }
    },
    onControllerReply({ request, from, body, error }) {
      isrChanges.delete(request);
      if (error?.code === "NOT_CONTROLLER") hit("request-to-a-former-controller");
      if (error?.code === "STALE_BROKER_EPOCH") hit("stale-broker-epoch-refused");
      if (request.name === "alter-partition") {
        for (const code of refusals(body)) {
          hit("isr-change-refused");
          const name = ISR_REFUSALS[code];
          if (name !== undefined) hit(name);
        }
      }
      if (request.name === "allocate-producer-ids" && error === null) {
        idGivers.add(from.node);
        if (idGivers.size === 2) hit("producer-ids-of-two-controllers");
      }
    },
    onMetadata({ before, after }) {
      if (before.brokers === after.brokers) return;
      watchFencing(before, after, hit);
    },
  };
}

function refusals(body: unknown): readonly ErrorCode[] {
  const { partitions = [] } = (body ?? {}) as {
    readonly partitions?: readonly { readonly error: { readonly code: ErrorCode } | null }[];
  };
  return partitions.flatMap(({ error }) => (error === null ? [] : [error.code]));
}

function watchFencing(before: MetadataImage, after: MetadataImage, hit: Hit): void {
  for (const { id, fenced, epoch } of after.brokers.values()) {
    const known = before.brokers.get(id);
    if (known === undefined || known.fenced === fenced) continue;
    if (!fenced) hit("broker-unfenced");
    // A registration begins fenced, too.
    else if (known.epoch === epoch) hit("broker-fenced");
  }
}
