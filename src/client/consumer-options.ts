/** A consumer's options: Kafka's, in camel case. */
import { LIMITS } from "../model/limits.ts";
import { RETRY_LIMITS } from "./cluster-client.ts";
import type { FetchCoreOptions } from "./core/fetch-core.ts";
import { type GroupOptions, groupOptions, type ResolvedGroupOptions } from "./group-options.ts";
import { type ClientOptions, choiceOption, integerOption } from "./options.ts";
import type { Deserializer } from "./serializers.ts";

export interface ConsumerOptions<Key = Uint8Array | null, Value = Uint8Array | null>
  extends ClientOptions,
    GroupOptions {
  /** From bytes to the key of a message. Default: the bytes themselves, a view of received memory. */
  readonly keyDeserializer?: Deserializer<Key>;
  readonly valueDeserializer?: Deserializer<Value>;
  /** Bytes of batches that may lie ready in memory, over all brokers. Default 33,554,432. */
  readonly prefetchBytes?: number;
  /** Bytes that one broker may send ahead. Default 8,388,608. */
  readonly fetchMaxBytes?: number;
  /** Most bytes of one partition in one response; a larger batch still comes. Default 1,048,576. */
  readonly maxPartitionFetchBytes?: number;
  /**
   * Where to go on when the offset wanted is not in the log (any more), and where to begin when the
   * group has committed none. Default "latest".
   */
  readonly autoOffsetReset?: "earliest" | "latest" | "none";
  /** Whether each batch's CRC-32C is computed and compared. Default true. */
  readonly checkCrcs?: boolean;
}

export interface ResolvedConsumerOptions {
  readonly core: FetchCoreOptions;
  readonly checkCrcs: boolean;
  /** Undefined: it is in none. */
  readonly group: ResolvedGroupOptions | undefined;
}

const STALL_MS = 2_000;

/** Checks and completes the options. Throws INVALID_ARGUMENT. */
export function consumerOptions<Key, Value>(
  options: ConsumerOptions<Key, Value>,
  requestTimeoutMs: number,
): ResolvedConsumerOptions {
  const largest = { min: 1_024, max: LIMITS.grpcMessageBytes };
  const { fetchMaxBytes, maxPartitionFetchBytes, prefetchBytes } = options;
  const perPartition = integerOption(
    "maxPartitionFetchBytes",
    maxPartitionFetchBytes,
    1_048_576,
    largest,
  );
  return {
    core: {
      prefetchBytes: integerOption("prefetchBytes", prefetchBytes, 33_554_432, { min: 1_024 }),
      fetchMaxBytes: integerOption("fetchMaxBytes", fetchMaxBytes, 8_388_608, {
        min: 1_024,
        max: 0x7fff_ffff,
      }),
      maxPartitionFetchBytes: perPartition,
      autoOffsetReset: choiceOption("autoOffsetReset", options.autoOffsetReset, "latest", [
        "earliest",
        "latest",
        "none",
      ]),
      stallMs: STALL_MS,
      retry: RETRY_LIMITS,
    },
    checkCrcs: options.checkCrcs ?? true,
    group: groupOptions(options, requestTimeoutMs),
  };
}
