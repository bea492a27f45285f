/**
 * Where the replicas of new partitions go: spread over racks first, then evenly over brokers, both
 * as leaders and as replicas, and so that the brokers that would take over a broker's partitions are
 * as many as possible. The same seed gives the same placement.
 */
import { assert } from "../base/assert.ts";
import { Prng } from "../base/prng.ts";
import type { BrokerId } from "../model/ids.ts";

export interface PlacementBroker {
  readonly id: BrokerId;
  readonly rack: string | null;
  /** It can lead at once. A broker that cannot gets replicas only if the others are too few. */
  readonly live: boolean;
}

export interface PlacementRequest {
  readonly brokers: readonly PlacementBroker[];
  readonly partitionsCount: number;
  /** At most the number of brokers. */
  readonly replicationFactor: number;
  /** A number of 32 bits. */
  readonly seed: number;
}

interface Candidate extends PlacementBroker {
  leadersCount: number;
  replicasCount: number;
  /** How often it stands second behind a leader, by leader. */
  readonly secondsBehind: Map<BrokerId, number>;
}

/** Replicas by partition, the preferred leader first; at least one broker must be live. */
export function placeReplicas(request: PlacementRequest): readonly (readonly BrokerId[])[] {
  const { replicationFactor, partitionsCount } = request;
  const live = request.brokers.filter((broker) => broker.live);
  assert(live.length > 0, "no live broker to place a leader on");
  assert(
    replicationFactor >= 1 && replicationFactor <= request.brokers.length,
    `${replicationFactor} replicas do not fit ${request.brokers.length} brokers`,
  );
  const usable = live.length >= replicationFactor ? live : request.brokers;
  const sorted = [...usable].sort((left, right) => left.id - right.id);
  const candidates: readonly Candidate[] = new Prng(request.seed).shuffle(sorted).map((broker) => ({
    ...broker,
    leadersCount: 0,
    replicasCount: 0,
    secondsBehind: new Map(),
  }));
  return Array.from({ length: partitionsCount }, () => placeOne(candidates, replicationFactor));
}

function placeOne(
  candidates: readonly Candidate[],
  replicationFactor: number,
): readonly BrokerId[] {
  const chosen: Candidate[] = [];
  const racks = new Set<string | null>();
  while (chosen.length < replicationFactor) {
    const [leader] = chosen;
    const cost = (candidate: Candidate): readonly number[] =>
      leader === undefined
        ? [candidate.live ? 0 : 1, candidate.leadersCount, candidate.replicasCount]
        : [
            racks.has(candidate.rack) ? 1 : 0,
            candidate.live ? 0 : 1,
            chosen.length === 1 ? (candidate.secondsBehind.get(leader.id) ?? 0) : 0,
            candidate.replicasCount,
          ];
    let best: Candidate | undefined;
    let bestCost: readonly number[] = [];
    for (const candidate of candidates) {
      if (chosen.includes(candidate)) continue;
      const candidateCost = cost(candidate);
      if (best === undefined || isLess(candidateCost, bestCost)) {
        best = candidate;
        bestCost = candidateCost;
      }
    }
    assert(best !== undefined, "there are at least as many brokers as replicas");
    if (leader === undefined) best.leadersCount++;
    else if (chosen.length === 1) {
      best.secondsBehind.set(leader.id, (best.secondsBehind.get(leader.id) ?? 0) + 1);
    }
    best.replicasCount++;
    racks.add(best.rack);
    chosen.push(best);
  }
  return chosen.map(({ id }) => id);
}

function isLess(left: readonly number[], right: readonly number[]): boolean {
  for (let index = 0; index < left.length; index++) {
    const difference = (left[index] as number) - (right[index] as number);
    if (difference !== 0) return difference < 0;
  }
  return false;
}
