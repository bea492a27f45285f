/**
 * What one log knows of its idempotent producers (KIP-98): per producer id the epoch and the last
 * five batches. A fold of the log, the same on every replica; the leader also checks against it.
 */
import { OttlaError } from "../model/errors.ts";
import type { Offset, ProducerEpoch, ProducerId } from "../model/ids.ts";
import { LIMITS } from "../model/limits.ts";
import { type BatchHeader, lastOffset, lastSequence } from "../record/batch.ts";

export interface ProducerBatch {
  readonly baseSequence: number;
  readonly lastSequence: number;
  readonly baseOffset: Offset;
  readonly lastOffset: Offset;
  readonly timestamp: number;
}

export interface ProducerState {
  readonly producerId: ProducerId;
  readonly epoch: ProducerEpoch;
  /** Oldest first, at most `producerBatchesCount`. */
  readonly batches: readonly ProducerBatch[];
}

/** A retry of a batch that the log holds: answered with its offsets, not appended again. */
export interface DuplicateBatch {
  readonly baseOffset: Offset;
  readonly lastOffset: Offset;
}

const SEQUENCE_MODULUS = 0x8000_0000;

export class ProducerStates {
  /** In order of last use: the first is idle longest. */
  readonly #states = new Map<ProducerId, ProducerState>();

  get size(): number {
    return this.#states.size;
  }

  get(producerId: ProducerId): ProducerState | undefined {
    return this.#states.get(producerId);
  }

  /**
   * Judges a batch that a producer sends: undefined if it is the next, or the earlier one that it
   * repeats. Throws INVALID_PRODUCER_EPOCH, OUT_OF_ORDER_SEQUENCE_NUMBER, UNKNOWN_PRODUCER_ID, or
   * DUPLICATE_SEQUENCE_NUMBER for a repetition older than the last five.
   *
   * An unknown producer must begin at sequence 0, where Kafka since KIP-360 takes any: with several
   * batches in flight the second may reach a new leader before the first, and would then be taken
   * as the beginning, so that the first could only be dropped. A producer whose state expired is
   * told UNKNOWN_PRODUCER_ID and begins anew.
   */
  check(header: BatchHeader): DuplicateBatch | undefined {
    if (header.producerId < 0) return undefined;
    const state = this.#states.get(header.producerId);
    if (state === undefined) {
      if (header.baseSequence === 0) return undefined;
      throw new OttlaError(
        "UNKNOWN_PRODUCER_ID",
        `producer ${header.producerId} is not known here and sends sequence ${header.baseSequence}`,
      );
    }
    if (header.producerEpoch < state.epoch) {
      throw new OttlaError(
        "INVALID_PRODUCER_EPOCH",
        `producer ${header.producerId} sends epoch ${header.producerEpoch}, the log has ${state.epoch}`,
      );
    }
    const last = state.batches.at(-1);
    if (header.producerEpoch > state.epoch || last === undefined) {
      if (header.baseSequence !== 0) throw this.#outOfOrder(header, 0);
      return undefined;
    }
    for (const batch of state.batches) {
      if (
        batch.baseSequence === header.baseSequence &&
        batch.lastSequence === lastSequence(header)
      ) {
        return { baseOffset: batch.baseOffset, lastOffset: batch.lastOffset };
      }
    }
    const expected = (last.lastSequence + 1) % SEQUENCE_MODULUS;
    if (header.baseSequence === expected) return undefined;
    const behind = (expected - header.baseSequence + SEQUENCE_MODULUS) % SEQUENCE_MODULUS;
    if (behind < SEQUENCE_MODULUS / 2) {
      throw new OttlaError(
        "DUPLICATE_SEQUENCE_NUMBER",
        `producer ${header.producerId} repeats sequence ${header.baseSequence}, older than its last ${LIMITS.producerBatchesCount} batches`,
      );
    }
    throw this.#outOfOrder(header, expected);
  }

  /** Folds an appended batch in; batches of no producer change nothing. */
  update(header: BatchHeader): void {
    if (header.producerId < 0) return;
    const old = this.#states.get(header.producerId);
    const kept = old !== undefined && old.epoch === header.producerEpoch ? old.batches : [];
    const batch: ProducerBatch = {
      baseSequence: header.baseSequence,
      lastSequence: lastSequence(header),
      baseOffset: header.baseOffset,
      lastOffset: lastOffset(header),
      timestamp: header.maxTimestamp,
    };
    const room = LIMITS.producerBatchesCount - 1;
    this.#states.delete(header.producerId);
    this.#states.set(header.producerId, {
      producerId: header.producerId,
      epoch: header.producerEpoch,
      batches: [...kept.slice(-room), batch],
    });
    if (this.#states.size > LIMITS.producersPerPartitionCount) {
      const idle = this.#states.keys().next().value as ProducerId;
      this.#states.delete(idle);
    }
  }

  /** `producer.id.expiration.ms` (KIP-854): forgets those whose last batch is older than `beforeMs`. */
  expire(beforeMs: number): void {
    for (const [id, state] of this.#states) {
      if ((state.batches.at(-1)?.timestamp ?? 0) < beforeMs) this.#states.delete(id);
    }
  }

  /** For a snapshot: in order of last use. */
  entries(): ProducerState[] {
    return [...this.#states.values()];
  }

  /** From a snapshot that is not ahead of the log; batches after it are folded in by `update`. */
  restore(states: readonly ProducerState[]): void {
    this.#states.clear();
    for (const state of states) this.#states.set(state.producerId, state);
  }

  #outOfOrder(header: BatchHeader, expected: number): OttlaError {
    return new OttlaError(
      "OUT_OF_ORDER_SEQUENCE_NUMBER",
      `producer ${header.producerId} sends sequence ${header.baseSequence}, expected is ${expected}`,
    );
  }
}
