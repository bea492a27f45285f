/**
 * Snapshots of the metadata image, one file each: `<index>-<term>.snapshot`, replaced atomically,
 * with a CRC-32C over everything. Only the newest is kept.
 */
import { concatBytes, readUint32, text, utf8, writeInt32 } from "../base/bytes.ts";
import type { Ports } from "../ports/ports.ts";
import type { RaftNode, SnapshotHead } from "../raft/messages.ts";
import type { SnapshotInstall } from "../raft/state.ts";

/** `OTS` and the version of the layout: <magic: 4> <crc: 4> <header size: 4> <header: JSON> <state>. */
const MAGIC = 0x4f545301;
const PREAMBLE_BYTES = 12;

export type SnapshotPorts = Pick<Ports, "files" | "codecs" | "logger">;

export class SnapshotStore {
  readonly #ports: SnapshotPorts;
  readonly #directory: string;
  #head: SnapshotHead | undefined;

  private constructor(ports: SnapshotPorts, directory: string) {
    this.#ports = ports;
    this.#directory = directory;
  }

  /** Reads the newest whole snapshot; a damaged one is passed over, and said so in the log. */
  static async open(
    ports: SnapshotPorts,
    directory: string,
  ): Promise<{ readonly store: SnapshotStore; readonly newest: SnapshotInstall | undefined }> {
    const store = new SnapshotStore(ports, directory);
    await ports.files.makeDirectory(directory);
    const newest = await store.#readNewest();
    store.#head = newest?.head;
    return { store, newest };
  }

  get head(): SnapshotHead | undefined {
    return this.#head;
  }

  async #readNewest(): Promise<SnapshotInstall | undefined> {
    const names = await this.#names();
    for (const name of names.reverse()) {
      const snapshot = await this.#read(name);
      if (snapshot !== undefined) return snapshot;
      this.#ports.logger.warn("A snapshot of the metadata is damaged and was passed over", {
        path: `${this.#directory}/${name}`,
      });
    }
    return undefined;
  }

  async #names(): Promise<string[]> {
    const names = await this.#ports.files.list(this.#directory);
    return names.filter((name) => name.endsWith(".snapshot"));
  }

  /** The newest snapshot's bytes; undefined if there is none or it is damaged. */
  async read(): Promise<SnapshotInstall | undefined> {
    return this.#head === undefined ? undefined : this.#read(fileName(this.#head));
  }

  async #read(name: string): Promise<SnapshotInstall | undefined> {
    const file = await this.#ports.files.read(`${this.#directory}/${name}`);
    if (file === undefined || file.length < PREAMBLE_BYTES) return undefined;
    if (readUint32(file, 0) !== MAGIC) return undefined;
    if (readUint32(file, 4) !== this.#ports.codecs.crc32c(file.subarray(8))) return undefined;
    const headerEnd = PREAMBLE_BYTES + readUint32(file, 8);
    const header = JSON.parse(text(file.subarray(PREAMBLE_BYTES, headerEnd))) as {
      readonly index: number;
      readonly term: number;
      readonly voters: readonly RaftNode[];
    };
    const bytes = file.subarray(headerEnd);
    return { head: { ...header, sizeBytes: bytes.length }, bytes };
  }

  /**
   * Durable once settled. Does nothing if a snapshot as new is there: a slow save must not move
   * back behind one that was installed meanwhile.
   */
  async save(snapshot: SnapshotInstall): Promise<void> {
    const { head, bytes } = snapshot;
    if (this.#head !== undefined && this.#head.index >= head.index) return;
    const { index, term, voters } = head;
    const header = utf8(JSON.stringify({ index, term, voters }));
    const preamble = new Uint8Array(PREAMBLE_BYTES);
    writeInt32(preamble, 0, MAGIC);
    writeInt32(preamble, 8, header.length);
    const file = concatBytes([preamble, header, bytes]);
    writeInt32(file, 4, this.#ports.codecs.crc32c(file.subarray(8)));
    await this.#ports.files.replace(`${this.#directory}/${fileName(head)}`, file);
    this.#head = head;
    for (const name of await this.#names()) {
      if (name !== fileName(head)) await this.#ports.files.remove(`${this.#directory}/${name}`);
    }
  }
}

/** Sorts as the index does. */
function fileName({ index, term }: SnapshotHead): string {
  return `${String(index).padStart(16, "0")}-${term}.snapshot`;
}
