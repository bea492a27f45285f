/** Files of one incarnation, on its machine's disk. */
import { assert } from "../../../src/base/assert.ts";
import { OttlaError } from "../../../src/model/errors.ts";
import type { FileLock, Files, SlotFile } from "../../../src/ports/files.ts";
import type { DiskOperation, SimDisk } from "./sim-disk.ts";
import type { Incarnation } from "./sim-node.ts";

const SLOT_BYTES = 4_000;

export class SimFiles implements Files {
  readonly #incarnation: Incarnation;
  readonly #disk: SimDisk;

  constructor(incarnation: Incarnation) {
    this.#incarnation = incarnation;
    this.#disk = incarnation.node.disk;
  }

  read(path: string): Promise<Uint8Array | undefined> {
    return this.#read("file read", () => {
      const node = this.#disk.node(path);
      if (node === undefined) return undefined;
      if (node.type !== "file") throw notA("file", path);
      if (this.#disk.takeFault("read-error", path) !== undefined) {
        throw new OttlaError("KAFKA_STORAGE_ERROR", `read ${path}: input/output error`);
      }
      return node.content.slice();
    });
  }

  replace(path: string, content: Uint8Array): Promise<void> {
    const copy = content.slice();
    const apply = (): void => {
      this.#disk.refuseIfFull(`write ${path}`);
      const failing =
        this.#disk.takeFault("write-error", path) ?? this.#disk.takeFault("sync-error", path);
      if (failing !== undefined) {
        throw new OttlaError("KAFKA_STORAGE_ERROR", `write ${path}: input/output error`);
      }
      const node = this.#disk.node(path);
      if (node !== undefined && node.type !== "file") throw notA("file", path);
      if (this.#disk.node(parentOf(path)) === undefined) {
        throw new OttlaError("KAFKA_STORAGE_ERROR", `${parentOf(path)} is missing`);
      }
      this.#disk.putFile(path, copy);
    };
    const latency = "syncMs";
    return this.#operation({ latency, label: "file replace", path, point: "replace", apply });
  }

  list(path: string): Promise<readonly string[]> {
    return this.#read("file list", () => this.#disk.list(path));
  }

  makeDirectory(path: string): Promise<void> {
    const apply = (): void => {
      this.#disk.refuseIfFull(`make directory ${path}`);
      this.#disk.makeDirectories(path);
    };
    const point = "make-directory";
    return this.#operation({ latency: "writeMs", label: "make directory", path, point, apply });
  }

  rename(from: string, to: string): Promise<void> {
    const apply = (): void => this.#disk.rename(from, to);
    const latency = "syncMs";
    return this.#operation({ latency, label: "rename", path: from, point: "rename", apply });
  }

  remove(path: string): Promise<void> {
    return this.#operation({
      latency: "writeMs",
      label: "remove",
      path,
      point: "remove",
      apply: () => this.#disk.remove(path),
      applyHalf: (prng) => this.#disk.removeHalf(path, prng),
    });
  }

  sizeBytes(path: string): Promise<number> {
    return this.#read("size", () => this.#disk.sizeBytes(path));
  }

  freeBytes(_path: string): Promise<number> {
    return this.#read("free", () => this.#disk.freeBytes);
  }

  totalBytes(_path: string): Promise<number> {
    return this.#read("free", () => this.#disk.totalBytes);
  }

  lock(path: string): Promise<FileLock> {
    const incarnation = this.#incarnation;
    const apply = (): FileLock => {
      if (!incarnation.alive) throw new OttlaError("CLOSED", "the process has ended");
      this.#disk.makeDirectories(path);
      this.#disk.lock(path, incarnation);
      return {
        release: () =>
          incarnation.promise(0, "disk", "unlock", () => {
            this.#disk.unlock(path);
          }),
      };
    };
    return this.#operation({ latency: "writeMs", label: "lock", path, apply });
  }

  openSlotFile(path: string): Promise<SlotFile> {
    const apply = (): SlotFile => {
      const node = this.#disk.slot(path);
      if (node.damaged) {
        throw new OttlaError("DIRECTORY_DAMAGED", `${path}: neither of its two slots is whole`);
      }
      if (node.failed !== undefined) {
        node.before = node.value;
        node.value = node.failed;
        node.failed = undefined;
      }
      return new SimSlotFile(this.#incarnation, this.#disk, path);
    };
    return this.#operation({ latency: "writeMs", label: "slot open", path, apply });
  }

  #read<Value>(label: string, run: () => Value): Promise<Value> {
    if (!this.#incarnation.alive) return new Promise(() => {});
    return this.#disk.read(this.#incarnation, label, run);
  }

  #operation<Value>(operation: DiskOperation<Value>): Promise<Value> {
    if (!this.#incarnation.alive) return new Promise(() => {});
    return this.#disk.operation(this.#incarnation, operation);
  }
}

class SimSlotFile implements SlotFile {
  readonly #incarnation: Incarnation;
  readonly #disk: SimDisk;
  readonly #path: string;
  #writing = false;
  #closed = false;

  constructor(incarnation: Incarnation, disk: SimDisk, path: string) {
    this.#incarnation = incarnation;
    this.#disk = disk;
    this.#path = path;
  }

  read(): Uint8Array | undefined {
    const node = this.#disk.node(this.#path);
    return node?.type === "slot" ? node.value?.slice() : undefined;
  }

  async write(value: Uint8Array): Promise<void> {
    assert(value.length <= SLOT_BYTES, `a slot holds ${SLOT_BYTES} bytes, not ${value.length}`);
    assert(!this.#writing, `writes of slot file ${this.#path} overlap`);
    if (this.#closed) throw new OttlaError("CLOSED", `${this.#path} is closed`);
    if (!this.#incarnation.alive) return new Promise(() => {});
    this.#writing = true;
    const copy = value.slice();
    const apply = (): void => {
      const node = this.#disk.node(this.#path);
      if (node?.type !== "slot") return;
      const failing = this.#disk.takeFault("sync-error", this.#path);
      if (failing !== undefined) {
        if (failing.visible ?? this.#disk.prng.chance(1, 2)) node.failed = copy;
        throw new OttlaError("KAFKA_STORAGE_ERROR", `${this.#path}: sync failed`);
      }
      node.before = node.value;
      node.value = copy;
      node.failed = undefined;
    };
    const path = this.#path;
    const latency = "syncMs";
    try {
      await this.#disk.operation(this.#incarnation, {
        latency,
        label: "slot write",
        path,
        point: "slot",
        apply,
      });
    } finally {
      this.#writing = false;
    }
  }

  close(): Promise<void> {
    this.#closed = true;
    return this.#incarnation.promise(0, "disk", "slot close", () => {});
  }
}

function notA(kind: string, path: string): OttlaError {
  return new OttlaError("KAFKA_STORAGE_ERROR", `${path} is not a ${kind}`);
}

function parentOf(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf("/")));
}
