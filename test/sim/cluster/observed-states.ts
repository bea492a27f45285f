/**
 * What brokers remember beside their logs, as it lies on their disks: high watermarks, log starts,
 * truncation intents and checkpoints of each replica, and the durable marks.
 */
import { text } from "../../../src/base/bytes.ts";
import type { Offset } from "../../../src/model/ids.ts";
import { decodeChecked } from "../../../src/storage/checked-value.ts";
import type { Checkpoint } from "../../../src/storage/checkpoint.ts";
import { type DurableMark, decodeMarks } from "../../../src/storage/durable-marks.ts";
import type { ReplicaHead } from "../../../src/storage/replica-states.ts";
import { crc32c } from "../world/sim-codecs.ts";
import type { SimNode } from "../world/sim-node.ts";
import { LOG_DIR } from "./cluster-config.ts";

const STATES_PATH = `${LOG_DIR}/broker`;
const MARKS_PATH = `${LOG_DIR}/marks`;

/** `restored`: a loss of power brought an older value back. */
export interface StateObserver {
  onSavedHighWatermark?(node: string, key: string, offset: Offset, restored: boolean): void;
  /** `before`: what it replaces on this disk. */
  onHead?(
    node: string,
    key: string,
    head: ReplicaHead,
    restored: boolean,
    before: ReplicaHead | undefined,
  ): void;
  onCheckpoint?(node: string, key: string, checkpoint: Checkpoint, restored: boolean): void;
}

export class ObservedStates {
  readonly observers: StateObserver[] = [];
  readonly #machines = new Map<string, SimNode>();
  readonly #highWatermarks = new Map<string, Offset>();
  readonly #heads = new Map<string, ReplicaHead>();

  attach(machine: SimNode): void {
    const { disk, name } = machine;
    this.#machines.set(name, machine);
    const { onStoreChange, onStoreGone } = disk;
    disk.onStoreChange = (path, key, before, after) => {
      onStoreChange(path, key, before, after);
      if (path === STATES_PATH) this.#changed(machine, text(key), after);
    };
    disk.onStoreGone = (path) => {
      onStoreGone(path);
      if (path !== STATES_PATH) return;
      for (const map of [this.#highWatermarks, this.#heads]) {
        for (const id of [...map.keys()]) if (id.startsWith(`${name} `)) map.delete(id);
      }
    };
  }

  savedHighWatermark(node: string, key: string): Offset {
    return this.#highWatermarks.get(`${node} ${key}`) ?? 0;
  }

  head(node: string, key: string): ReplicaHead | undefined {
    return this.#heads.get(`${node} ${key}`);
  }

  /** By key; empty if there is no file, or it is damaged. */
  marks(node: string): ReadonlyMap<string, DurableMark> {
    const file = this.#machines.get(node)?.disk.node(MARKS_PATH);
    if (file?.type !== "file") return new Map();
    return decodeMarks(file.content, crc32c) ?? new Map();
  }

  #changed(machine: SimNode, path: string, after: Uint8Array | undefined): void {
    const [family, key, kind] = path.split("/");
    if (key === undefined || kind === undefined) return;
    const node = machine.name;
    const id = `${node} ${key}`;
    const value = after === undefined ? undefined : decodeChecked(after, crc32c);
    const restored = machine.incarnation === undefined;
    if (family === "c") {
      if (value === undefined) return;
      for (const observer of this.observers) {
        observer.onCheckpoint?.(node, key, value as Checkpoint, restored);
      }
    } else if (kind === "hw") {
      if (value === undefined) {
        this.#highWatermarks.delete(id);
        return;
      }
      this.#highWatermarks.set(id, value as Offset);
      for (const observer of this.observers) {
        observer.onSavedHighWatermark?.(node, key, value as Offset, restored);
      }
    } else if (kind === "head") {
      if (value === undefined) {
        this.#heads.delete(id);
        return;
      }
      const replaced = this.#heads.get(id);
      this.#heads.set(id, value as ReplicaHead);
      for (const observer of this.observers) {
        observer.onHead?.(node, key, value as ReplicaHead, restored, replaced);
      }
    }
  }
}
