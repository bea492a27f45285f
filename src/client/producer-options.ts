/** A producer's options: Kafka's, in camel case, with Kafka's defaults where nothing else is said. */

import { COMPRESSIONS, type Compression } from "../model/compression.ts";
import { OttlaError } from "../model/errors.ts";
import { LIMITS } from "../model/limits.ts";
import { RETRY_LIMITS } from "./cluster-client.ts";
import type { Partitioner } from "./core/partitioner.ts";
import type { ProducerCoreOptions } from "./core/producer-core.ts";
import { type ClientOptions, choiceOption, integerOption } from "./options.ts";
import type { Bytes, Serializer } from "./serializers.ts";

export interface ProducerOptions<Key = Bytes, Value = Bytes> extends ClientOptions {
  /**
   * Who must have a record before it is acknowledged: "all" (or -1) in-sync replicas, 1 the leader
   * alone, 0 nobody: then a send settles once the record is handed to the network, without an
   * offset. Default "all".
   */
  readonly acks?: "all" | -1 | 0 | 1;
  /**
   * Whether brokers recognise repetitions, so that a retry writes nothing twice and order is kept.
   * Needs acks "all". Default true, false with other acks.
   */
  readonly enableIdempotence?: boolean;
  /**
   * Longest wait of a record for others to share its batch, in ms. Left out, a record goes at once
   * while its partition has nothing under way, and otherwise waits 5 ms at most; given, every batch
   * waits that long unless it is full before.
   */
  readonly lingerMs?: number;
  /**
   * Size at which a batch is full, in bytes before compression; a larger record has a batch of its
   * own. Default 131,072, where Kafka takes 16,384: each batch costs every replica a durable write.
   */
  readonly batchSize?: number;
  /** Default "none". */
  readonly compressionType?: Compression;
  /** Bytes of records that may wait for acknowledgement. Default 33,554,432. */
  readonly bufferMemory?: number;
  /**
   * How long a send may wait for memory (then BUFFER_EXHAUSTED) or for the topic's metadata, in ms.
   * Default 60,000.
   */
  readonly maxBlockMs?: number;
  /** From `send` to acknowledgement or DELIVERY_TIMED_OUT, retries included, in ms. Default 120,000. */
  readonly deliveryTimeoutMs?: number;
  /** Largest record and largest request, in bytes. Default 1,048,576. */
  readonly maxRequestSize?: number;
  /** Batches of one partition under way at once: 1 to 5. Default 5. */
  readonly maxInFlightRequests?: number;
  /** How often metadata is asked for without need, in ms: new partitions are found so. Default 300,000. */
  readonly metadataMaxAgeMs?: number;
  /** Default "default": murmur2 of the key, sticky without one. */
  readonly partitioner?: Partitioner;
  /** From the key of `send` to bytes. Default: as they are, strings as UTF-8. */
  readonly keySerializer?: Serializer<Key>;
  readonly valueSerializer?: Serializer<Value>;
}

export interface ResolvedProducerOptions {
  readonly core: Omit<ProducerCoreOptions, "crc32c" | "seed">;
  readonly maxBlockMs: number;
  readonly metadataMaxAgeMs: number;
  readonly partitioner: Partitioner;
}

const DEFAULT_LINGER_MS = 5;
const STALL_MS = 1_000;

/** Checks and completes the options. Throws INVALID_ARGUMENT. */
export function producerOptions<Key, Value>(
  options: ProducerOptions<Key, Value>,
  requestTimeoutMs: number,
): ResolvedProducerOptions {
  const wanted = choiceOption("acks", options.acks, "all", ["all", -1, 0, 1]);
  const acks = wanted === "all" ? -1 : wanted;
  const idempotent = options.enableIdempotence ?? acks === -1;
  if (idempotent && acks !== -1) {
    throw new OttlaError(
      "INVALID_ARGUMENT",
      `enableIdempotence is true with acks ${acks}, allowed is acks "all"`,
      { field: "enableIdempotence" },
    );
  }
  const maxRequestBytes = integerOption("maxRequestSize", options.maxRequestSize, 1_048_576, {
    min: 1_024,
    max: LIMITS.grpcMessageBytes,
  });
  const bufferBytes = integerOption("bufferMemory", options.bufferMemory, 33_554_432, {
    min: maxRequestBytes,
  });
  const lingerMs = integerOption("lingerMs", options.lingerMs, DEFAULT_LINGER_MS, {
    min: 0,
    max: 3_600_000,
  });
  const deliveryTimeoutMs = integerOption("deliveryTimeoutMs", options.deliveryTimeoutMs, 120_000, {
    min: lingerMs + 1,
  });
  const batchSize = integerOption("batchSize", options.batchSize, 131_072, {
    min: 1_024,
    max: LIMITS.grpcMessageBytes,
  });
  return {
    core: {
      acks,
      idempotent,
      lingerMs,
      sendWhenIdle: options.lingerMs === undefined,
      batchSizeBytes: Math.min(batchSize, maxRequestBytes),
      maxRequestBytes,
      maxInFlightBatches: integerOption("maxInFlightRequests", options.maxInFlightRequests, 5, {
        min: 1,
        max: LIMITS.producerBatchesCount,
      }),
      bufferBytes,
      deliveryTimeoutMs,
      requestTimeoutMs,
      stallMs: STALL_MS,
      retry: RETRY_LIMITS,
      compression: choiceOption("compressionType", options.compressionType, "none", COMPRESSIONS),
    },
    maxBlockMs: integerOption("maxBlockMs", options.maxBlockMs, 60_000, { min: 0 }),
    metadataMaxAgeMs: integerOption("metadataMaxAgeMs", options.metadataMaxAgeMs, 300_000, {
      min: 100,
    }),
    partitioner: partitionerOption(options.partitioner),
  };
}

function partitionerOption(partitioner: Partitioner | undefined): Partitioner {
  if (typeof partitioner === "function") return partitioner;
  const named = choiceOption<"default" | "round-robin">("partitioner", partitioner, "default", [
    "default",
    "round-robin",
  ]);
  return named;
}
