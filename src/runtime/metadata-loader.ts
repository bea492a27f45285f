/**
 * Turns the committed metadata log into images and tells whoever subscribed what changed. The same
 * code runs on every node, so equal logs give equal images (C11).
 */

import { imageToRecords, MetadataDelta, recordsToImage } from "../metadata/delta.ts";
import { EMPTY_IMAGE, type MetadataImage } from "../metadata/image.ts";
import { decodeRecords, encodeRecords } from "../metadata/record-codec.ts";
import type { BrokerId, DirectoryId, LogIndex, Term } from "../model/ids.ts";
import type { Ports } from "../ports/ports.ts";
import type { CommittedEntry, MetadataStateMachine } from "./metadata-log.ts";

/** Whoever decides while this node leads the metadata log. */
export interface LeadershipListener {
  becomeActive(term: Term): void;
  resign(): void;
  leaderChanged(leaderId: BrokerId, term: Term): void;
}

/**
 * Called once for all entries that were committed together, after the image has changed. A publisher
 * must not throw: half of a broker would live in another image than the rest.
 */
export type MetadataPublisher = (delta: MetadataDelta, image: MetadataImage) => void;

export class MetadataLoader implements MetadataStateMachine {
  readonly #ports: Pick<Ports, "logger" | "fatal">;
  readonly #publishers: MetadataPublisher[] = [];
  #listener: LeadershipListener | undefined;
  #image: MetadataImage = EMPTY_IMAGE;

  constructor(options: { readonly ports: Pick<Ports, "logger" | "fatal"> }) {
    this.#ports = options.ports;
  }

  get image(): MetadataImage {
    return this.#image;
  }

  /** In the order of subscription, from the next change on. */
  subscribe(publisher: MetadataPublisher): void {
    this.#publishers.push(publisher);
  }

  /** The controller of this node; only voters have one. */
  setLeadershipListener(listener: LeadershipListener): void {
    this.#listener = listener;
  }

  apply(entries: readonly CommittedEntry[]): void {
    const last = entries.at(-1);
    if (last === undefined) return;
    const delta = new MetadataDelta(this.#image);
    this.#guarded(`entries up to ${last.index} of the metadata log cannot be applied`, () => {
      for (const { payload } of entries) {
        if (payload.length > 0) delta.replayAll(decodeRecords(payload));
      }
      this.#publish(delta, delta.apply(last.index, last.term));
    });
  }

  load(snapshot: {
    readonly index: LogIndex;
    readonly term: Term;
    readonly bytes: Uint8Array;
  }): void {
    const { index, term, bytes } = snapshot;
    this.#guarded(`the metadata snapshot at ${index} cannot be loaded`, () => {
      const image = recordsToImage(decodeRecords(bytes), index, term);
      this.#publish(MetadataDelta.between(this.#image, image), image);
    });
  }

  save(): Uint8Array {
    return encodeRecords(imageToRecords(this.#image));
  }

  becomeActive(term: Term): void {
    this.#listener?.becomeActive(term);
  }

  resign(): void {
    this.#listener?.resign();
  }

  leaderChanged(leaderId: BrokerId, term: Term): void {
    this.#listener?.leaderChanged(leaderId, term);
  }

  voterReplaced(id: BrokerId, directoryId: DirectoryId): void {
    this.#ports.logger.warn("a voter came back with another directory and was taken in again", {
      voter: id,
      directoryId,
    });
  }

  #publish(delta: MetadataDelta, image: MetadataImage): void {
    this.#image = image;
    for (const publisher of this.#publishers) publisher(delta, image);
  }

  /** A node that cannot follow the log must not go on with an image that nobody else has. */
  #guarded(reason: string, run: () => void): void {
    try {
      run();
    } catch (error) {
      this.#ports.fatal(reason, error);
      throw error;
    }
  }
}
