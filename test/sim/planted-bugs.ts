/**
 * Bugs put in on purpose, between a broker and its ports: a simulation that does not find them
 * within a few seeds finds nothing.
 */
import type { SlotFile } from "../../src/ports/files.ts";
import type { KeyValueStore, KeyValueStores } from "../../src/ports/key-value-store.ts";
import type { Ports } from "../../src/ports/ports.ts";
import type { ReplicationUp } from "../../src/replica/messages.ts";
import type { StartBroker } from "./cluster/cluster.ts";

export type PlantedBug = (ports: Ports) => Ports;

/**
 * Writes are said to be durable when they are not: acknowledgements come before the disk. The
 * durable marks are kept back too, or a broker would find out by itself that its tail is gone.
 */
export const acknowledgeBeforeDurable: PlantedBug = (ports) =>
  withoutMarks(
    withStores(ports, (store) => ({
      write: (operations) => store.write(operations, { sync: false }),
    })),
  );

/** A follower reports as fsynced what has only arrived. */
export const reportReceivedAsDurable: PlantedBug = (ports) => ({
  ...ports,
  network: {
    listen: (address, handlers) => ports.network.listen(address, handlers),
    open: (to, channel) => {
      const stream = ports.network.open(to, channel);
      const send = stream.send.bind(stream);
      stream.send = (message) => {
        const up = message as ReplicationUp;
        if (channel !== "replication" || up.type !== "progress") return send(message);
        const partitions = up.partitions.map((progress) => ({
          ...progress,
          durableEnd: progress.receivedEnd,
        }));
        return send({ ...up, partitions } as typeof message);
      };
      return stream;
    },
  },
});

export function withBug(start: StartBroker, bug: PlantedBug): StartBroker {
  return (ports, config) => start(bug(ports), config);
}

function withoutMarks(ports: Ports): Ports {
  const { files } = ports;
  const openSlotFile = async (path: string): Promise<SlotFile> => {
    const slot = await files.openSlotFile(path);
    return {
      read: () => slot.read(),
      write: () => ports.timers.yield(),
      close: () => slot.close(),
    };
  };
  return {
    ...ports,
    files: {
      read: (path) => files.read(path),
      replace: (path, content) => files.replace(path, content),
      list: (path) => files.list(path),
      makeDirectory: (path) => files.makeDirectory(path),
      rename: (from, to) => files.rename(from, to),
      remove: (path) => files.remove(path),
      sizeBytes: (path) => files.sizeBytes(path),
      freeBytes: (path) => files.freeBytes(path),
      totalBytes: (path) => files.totalBytes(path),
      lock: (path) => files.lock(path),
      openSlotFile,
    },
  };
}

function withStores(ports: Ports, change: (store: KeyValueStore) => Partial<KeyValueStore>): Ports {
  const stores: KeyValueStores = {
    open: async (path, options) => {
      const store = await ports.stores.open(path, options);
      return {
        get: (key) => store.get(key),
        write: (operations, writeOptions) => store.write(operations, writeOptions),
        iterate: (range) => store.iterate(range),
        close: () => store.close(),
        ...change(store),
      };
    },
  };
  return { ...ports, stores };
}
