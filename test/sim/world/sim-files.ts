/** Files of one incarnation, on its machine's disk. */
import { assert } from "../../../src/base/assert.ts";
import { OttlaError } from "../../../src/model/errors.ts";
import type { FileLock, Files, SlotFile } from "../../../src/ports/files.ts";
import type { SimDisk } from "./sim-disk.ts";
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
    return this.#operation("readMs", "file read", () => {
      const node = this.#disk.node(path);
      if (node === undefined) return undefined;
      if (node.type !== "file") throw notA("file", path);
      return node.content.slice();
    });
  }

  replace(path: string, content: Uint8Array): Promise<void> {
    const copy = content.slice();
    return this.#operation("syncMs", "file replace", () => {
      this.#disk.refuseIfFull(`write ${path}`);
      if (this.#disk.takeFault("write-error")) {
        throw new OttlaError("KAFKA_STORAGE_ERROR", `write ${path}: input/output error`);
      }
      const node = this.#disk.node(path);
      if (node !== undefined && node.type !== "file") throw notA("file", path);
      if (this.#disk.node(parentOf(path)) === undefined) {
        throw new OttlaError("KAFKA_STORAGE_ERROR", `${parentOf(path)} is missing`);
      }
      this.#disk.put(path, { type: "file", content: copy });
    });
  }

  list(path: string): Promise<readonly string[]> {
    return this.#operation("readMs", "file list", () => this.#disk.list(path));
  }

  makeDirectory(path: string): Promise<void> {
    return this.#operation("writeMs", "make directory", () => {
      this.#disk.refuseIfFull(`make directory ${path}`);
      this.#disk.makeDirectories(path);
    });
  }

  rename(from: string, to: string): Promise<void> {
    return this.#operation("syncMs", "rename", () => this.#disk.rename(from, to));
  }

  remove(path: string): Promise<void> {
    return this.#operation("writeMs", "remove", () => this.#disk.remove(path));
  }

  sizeBytes(path: string): Promise<number> {
    return this.#operation("readMs", "size", () => this.#disk.sizeBytes(path));
  }

  freeBytes(_path: string): Promise<number> {
    return this.#operation("readMs", "free", () => this.#disk.freeBytes);
  }

  lock(path: string): Promise<FileLock> {
    const incarnation = this.#incarnation;
    return this.#operation("writeMs", "lock", () => {
      if (!incarnation.alive) throw new OttlaError("CLOSED", "the process has ended");
      this.#disk.makeDirectories(path);
      this.#disk.lock(path, incarnation);
      return {
        release: () =>
          incarnation.promise(0, "disk", "unlock", () => {
            this.#disk.unlock(path);
          }),
      };
    });
  }

  openSlotFile(path: string): Promise<SlotFile> {
    return this.#operation("writeMs", "slot open", () => {
      const node = this.#disk.node(path);
      if (node === undefined) this.#disk.put(path, { type: "slot", value: undefined });
      else if (node.type !== "slot") throw notA("slot file", path);
      return new SimSlotFile(this.#incarnation, this.#disk, path);
    });
  }

  #operation<Value>(
    kind: "readMs" | "writeMs" | "syncMs",
    label: string,
    apply: () => Value,
  ): Promise<Value> {
    if (!this.#incarnation.alive) return new Promise(() => {});
    return this.#disk.operation(this.#incarnation, kind, label, apply);
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
    try {
      await this.#disk.operation(this.#incarnation, "syncMs", "slot write", () => {
        if (this.#disk.takeFault("sync-error")) {
          throw new OttlaError("KAFKA_STORAGE_ERROR", `${this.#path}: sync failed`);
        }
        const node = this.#disk.node(this.#path);
        if (node?.type === "slot") node.value = copy;
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
