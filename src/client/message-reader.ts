/** From batches that lie ready to messages: decompresses, checks, decodes, hands out one by one. */
import { OttlaError, toOttlaError } from "../model/errors.ts";
import type { Offset } from "../model/ids.ts";
import { LIMITS } from "../model/limits.ts";
import type { Codecs } from "../ports/codecs.ts";
import {
  type Batch,
  compressionOf,
  hasValidCrc,
  isControl,
  lastOffset,
  recordsSection,
} from "../record/batch.ts";
import type { Change } from "./change.ts";
import type { ConsumerDriver } from "./consumer-driver.ts";
import type { PartitionState, ReadyBatch } from "./core/fetch-core.ts";
import type { Hand } from "./core/hands.ts";
import { type Deserializers, decodeMessages, type Message } from "./core/messages.ts";

/** Consecutive messages of one partition, as they lay in one stored batch. */
export interface MessageBatch<Key, Value> {
  readonly topic: string;
  readonly partition: number;
  /** At least one. */
  readonly messages: readonly Message<Key, Value>[];
  /** End of what consumers may read, as of this fetch. */
  readonly highWatermark: Offset;
}

export interface MessageReaderOptions<Key, Value> {
  readonly driver: ConsumerDriver;
  readonly codecs: Codecs;
  readonly checkCrcs: boolean;
  readonly deserializers: Deserializers<Key, Value>;
  readonly change: Change;
  /** An error that is not a partition's, each once. */
  readonly takeError: () => { readonly error: unknown } | undefined;
}

interface Current<Key, Value> {
  readonly ready: ReadyBatch;
  readonly messages: readonly Message<Key, Value>[];
  index: number;
}

export class MessageReader<Key, Value> {
  readonly #options: MessageReaderOptions<Key, Value>;
  readonly #driver: ConsumerDriver;
  /** Decompressed sections of batches whose turn has not come yet. */
  readonly #prepared = new WeakMap<ReadyBatch, Promise<Uint8Array>>();
  #current: Current<Key, Value> | undefined;
  #loading: Promise<void> | undefined;
  #closed = false;

  constructor(options: MessageReaderOptions<Key, Value>) {
    this.#options = options;
    this.#driver = options.driver;
  }

  /** What is in hand is not delivered any more. */
  drop(): void {
    this.#current = undefined;
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#current = undefined;
    this.#options.change.tell();
    // Its failure is the iteration's, if there is one.
    await this.#loading?.catch(() => undefined);
  }

  takeMessage(hand: Hand): Message<Key, Value> | undefined {
    const current = this.#valid();
    if (current === undefined) return undefined;
    const { messages, ready } = current;
    const message = messages[current.index++] as Message<Key, Value>;
    give(hand, ready, message.offset);
    if (current.index < messages.length) ready.state.position = message.offset + 1;
    else this.#finish(ready);
    return message;
  }

  takeBatch(hand: Hand): MessageBatch<Key, Value> | undefined {
    const current = this.#valid();
    if (current === undefined) return undefined;
    const { index, ready } = current;
    const { highWatermark, partition, topic } = ready.state;
    const messages = index === 0 ? current.messages : current.messages.slice(index);
    give(hand, ready, (messages[0] as Message<Key, Value>).offset);
    this.#finish(ready);
    return { topic, partition, messages, highWatermark };
  }

  /** Settles when a batch is in hand, or the reader closed; rejects with an error. */
  load(): Promise<void> {
    this.#loading ??= this.#load().finally(() => {
      this.#loading = undefined;
    });
    return this.#loading;
  }

  /** The rest of the batch in hand, if it has not been voided by a seek or a pause. */
  #valid(): Current<Key, Value> | undefined {
    const current = this.#current;
    if (current === undefined || current.ready.state.version === current.ready.version)
      return current;
    this.#current = undefined;
    return undefined;
  }

  #finish(ready: ReadyBatch): void {
    ready.state.position = lastOffset(ready.batch.header) + 1;
    ready.state.consumedEpoch = ready.batch.header.leaderEpoch;
    this.#current = undefined;
  }

  async #load(): Promise<void> {
    const { core } = this.#driver;
    while (!this.#closed && this.#valid() === undefined) {
      const thrown = this.#options.takeError();
      if (thrown !== undefined) throw thrown.error;
      const ready = core.next();
      if (ready === undefined) {
        await this.#options.change.next;
        continue;
      }
      this.#driver.touch();
      const { header } = ready.batch;
      if (isControl(header)) {
        if (ready.state.version === ready.version) this.#finish(ready);
        continue;
      }
      try {
        const prepared = this.#prepared.get(ready) ?? this.#prepare(ready.batch);
        const section = prepared instanceof Uint8Array ? prepared : await prepared;
        const { partition, position = 0, topic, version } = ready.state;
        if (version !== ready.version) continue;
        const messages = decodeMessages(
          { topic, partition, fromOffset: position, header, section },
          this.#options.deserializers,
        );
        if (messages.length === 0) this.#finish(ready);
        else this.#current = { ready, messages, index: 0 };
      } catch (thrown) {
        core.failBatch(ready, placed(ready, toOttlaError(thrown)));
      }
      this.#prepareNext();
    }
  }

  /** Decompresses the next batch while the application works on this one. */
  #prepareNext(): void {
    const ready = this.#driver.core.peek();
    if (ready === undefined || compressionOf(ready.batch.header) === "none") return;
    if (this.#prepared.has(ready)) return;
    try {
      const prepared = this.#prepare(ready.batch);
      if (prepared instanceof Uint8Array) return;
      prepared.catch(() => undefined);
      this.#prepared.set(ready, prepared);
    } catch {
      // The same failure comes when its turn does, and is reported then.
    }
  }

  /** The batch's records, uncompressed; a promise only if they have to be decompressed. */
  #prepare(batch: Batch): Uint8Array | Promise<Uint8Array> {
    const { checkCrcs, codecs } = this.#options;
    if (checkCrcs && !hasValidCrc(batch, codecs.crc32c)) {
      throw new OttlaError("CORRUPT_MESSAGE", "the batch's CRC-32C is not that of its bytes");
    }
    const compression = compressionOf(batch.header);
    if (compression === undefined) {
      throw new OttlaError("UNSUPPORTED_COMPRESSION_TYPE", "the batch names an unknown codec");
    }
    const section = recordsSection(batch);
    if (compression === "none") return section;
    return codecs.decompress(compression, section, LIMITS.decompressedBatchBytes);
  }
}

function give(hand: Hand, { batch, state }: ReadyBatch, from: Offset): void {
  hand.state = state;
  hand.from = from;
  hand.epochBefore = state.consumedEpoch;
  state.consumedEpoch = batch.header.leaderEpoch;
}

/** The error with the batch's place in front, unless it says where it was itself. */
function placed(
  ready: { readonly state: PartitionState; readonly batch: Batch },
  error: OttlaError,
): OttlaError {
  const { partition, topic } = ready.state;
  const place = `${topic}-${partition} at offset `;
  if (error.message.startsWith(place)) return error;
  const message = `${place}${ready.batch.header.baseOffset}: ${error.message}`;
  return new OttlaError(error.code, message, { cause: error });
}
