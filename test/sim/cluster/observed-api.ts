/**
 * A broker's use cases with somebody who listens: what it is asked and what it answers, in the turn
 * in which it does, whoever carries it and whether the client ever hears of it.
 */
import type {
  BrokerApi,
  DoorApi,
  FetchedOne,
  FetchSession,
  ProduceOne,
  ProduceResult,
} from "../../../src/broker/broker-api.ts";
import { partitionKey } from "../../../src/model/ids.ts";
import {
  BATCH_HEADER_BYTES,
  type BatchHeader,
  MAGIC_V2,
  readBatchHeader,
} from "../../../src/record/batch.ts";
import type { Incarnation } from "../world/sim-node.ts";
import type { Told } from "./observation.ts";
import { observedGroups } from "./observed-groups.ts";
import type { FetchStarted, Where } from "./run-context.ts";

const MAGIC_AT = 16;

export function observedApi(api: DoorApi, incarnation: Incarnation, told: Told): DoorApi {
  const where: Where = { node: incarnation.node.name, life: incarnation.life };
  const keyOf = (topic: string, partition: number): string | undefined => {
    const topicId = api.image().topicIds.get(topic);
    return topicId === undefined ? undefined : partitionKey(topicId, partition);
  };
  const tellListed: BrokerApi["listOffsets"] = async (items) => {
    const calls = items.map((item) => ({ where, key: keyOf(item.topic, item.partition), item }));
    for (const call of calls) told.tell("onListCall", call);
    const results = await api.listOffsets(items);
    if (incarnation.alive) {
      for (const [index, result] of results.entries()) {
        const call = calls[index];
        if (call !== undefined) told.tell("onListed", call, result);
      }
    }
    return results;
  };
  const tellDeleted: BrokerApi["deleteRecords"] = async (items, timeoutMs) => {
    const keys = items.map(({ topic, partition }) => keyOf(topic, partition));
    const results = await api.deleteRecords(items, timeoutMs);
    if (incarnation.alive) {
      for (const [index, result] of results.entries()) {
        const one = items[index];
        if (one === undefined) continue;
        told.tell("onRecordsDeleted", { ...where, key: keys[index] }, one, result);
      }
    }
    return results;
  };
  return {
    ...observedGroups(api, incarnation, told),
    brokerId: api.brokerId,
    image: () => api.image(),
    controllerId: () => api.controllerId(),
    liveBrokers: () => api.liveBrokers(),
    topics: (names, allowAutoCreate) => api.topics(names, allowAutoCreate),
    produce: (one) => {
      const { batch, ...rest } = one;
      const key = keyOf(one.topic, one.partition);
      const call = { where, key, one: rest, header: headerOf(batch), image: api.image() };
      told.tell("onProduceCall", call);
      return api.produce(one).then((result: ProduceResult) => {
        if (incarnation.alive) told.tell("onProduced", call, result);
        return result;
      });
    },
    openFetch: (sink) => {
      const started = new Map<number, FetchStarted>();
      const session = api.openFetch((fetched) => {
        if (incarnation.alive) for (const one of fetched) tellFetched(told, started, one);
        return sink(fetched);
      });
      return observedSession(session, (start) => {
        const key = keyOf(start.topic, start.partition);
        started.set(start.handle, { where, key, start, image: api.image() });
      });
    },
    // Not reached yet: the simulated clients fetch over streams.
    fetchOnce: (ones, options) => api.fetchOnce(ones, options),
    leaderEpochEnds: (items) => api.leaderEpochEnds(items),
    listOffsets: tellListed,
    deleteRecords: tellDeleted,
    describeConfigs: (resources) => api.describeConfigs(resources),
    describeProducers: (items) => api.describeProducers(items),
    describeLogDirectories: () => api.describeLogDirectories(),
    initProducerId: async () => {
      const given = await api.initProducerId();
      if (incarnation.alive) told.tell("onProducerId", where, given);
      return given;
    },
    describeQuorum: () => api.describeQuorum(),
    controller: (name, request, timeoutMs) => api.controller(name, request, timeoutMs),
    health: () => api.health(),
  };
}

function tellFetched(
  told: Told,
  started: ReadonlyMap<number, FetchStarted>,
  one: FetchedOne,
): void {
  const start = started.get(one.handle);
  if (start !== undefined) told.tell("onFetched", start, one);
}

function observedSession(
  session: FetchSession,
  onStart: (start: Parameters<FetchSession["start"]>[0]) => void,
): FetchSession {
  return {
    start: (one) => {
      onStart(one);
      session.start(one);
    },
    stop: (handle) => session.stop(handle),
    credit: (bytes) => session.credit(bytes),
    close: () => session.close(),
  };
}

/** Clients may send anything. */
function headerOf(batch: ProduceOne["batch"]): BatchHeader | undefined {
  if (batch.length < BATCH_HEADER_BYTES || batch[MAGIC_AT] !== MAGIC_V2) return undefined;
  try {
    return readBatchHeader(batch);
  } catch {
    return undefined;
  }
}
