/** A client without manners: sends what it is told, byte for byte, to the broker it is told. */
import { nativeCodecs } from "../../src/adapters/native-codecs.ts";
import { clientEnvironment } from "../../src/client/environment.ts";
import type {
  FetchedPartition,
  FetchRequest,
  ProducePartitionResult,
} from "../../src/client/messages.ts";
import type { ClientStream, Connection } from "../../src/client/transport.ts";
import { BatchBuilder } from "../../src/record/records.ts";

export interface RawRecord {
  readonly key?: string;
  readonly value: string;
}

export interface RawBatchOptions {
  readonly producerId?: number;
  readonly producerEpoch?: number;
  readonly baseSequence?: number;
}

/** A correct batch, to be damaged by the test. */
export function rawBatch(records: readonly RawRecord[], options: RawBatchOptions = {}): Uint8Array {
  const builder = new BatchBuilder(1_024);
  for (const { key, value } of records) {
    builder.append({
      timestamp: Date.now(),
      key: key === undefined ? null : Buffer.from(key),
      value: Buffer.from(value),
      headers: [],
    });
  }
  return Uint8Array.from(
    builder.seal({
      codec: "none",
      producerId: options.producerId ?? -1,
      producerEpoch: options.producerEpoch ?? -1,
      baseSequence: options.baseSequence ?? -1,
      crc32c: nativeCodecs.crc32c,
    }),
  );
}

/** Changes bytes of a batch and makes its CRC right again. */
export function alteredBatch(
  batch: Uint8Array,
  change: (view: DataView, bytes: Uint8Array) => void,
): Uint8Array {
  const bytes = Uint8Array.from(batch);
  const view = new DataView(bytes.buffer);
  change(view, bytes);
  view.setUint32(17, nativeCodecs.crc32c(bytes.subarray(21)));
  return bytes;
}

export interface RawProduce {
  readonly topic: string;
  readonly partition?: number;
  readonly batch: Uint8Array;
  readonly acks?: -1 | 0 | 1;
  readonly timeoutMs?: number;
}

const ANSWER_MS = 20_000;

export class RawClient {
  readonly connection: Connection;

  constructor(port: number) {
    this.connection = clientEnvironment().transport.connect({ host: "127.0.0.1", port });
  }

  /** The broker's answer to one batch; rejects if the stream ends first. */
  produce(one: RawProduce): Promise<ProducePartitionResult> {
    return withDeadline((resolve, reject) => {
      const stream = this.connection.openProduce({
        onMessage: (response) => {
          stream.close();
          resolve(response.partitions[0] as ProducePartitionResult);
        },
        onEnd: reject,
      });
      stream.send({
        correlationId: 1,
        acks: one.acks ?? -1,
        timeoutMs: one.timeoutMs ?? 5_000,
        partitions: [{ topic: one.topic, partition: one.partition ?? 0, batch: one.batch }],
      });
    });
  }

  /** Like `produce`, but waits until the broker leads what it was just made the leader of. */
  async produceOnceLed(one: RawProduce): Promise<ProducePartitionResult> {
    for (;;) {
      const result = await this.produce(one);
      if (result.error?.code !== "LEADER_NOT_AVAILABLE") return result;
    }
  }

  /** The first answer to a fetch from `offset`. */
  fetch(topic: string, partition: number, offset: number): Promise<FetchedPartition> {
    return withDeadline((resolve, reject) => {
      const stream = this.openFetch((partition) => {
        stream.close();
        resolve(partition);
      }, reject);
      stream.send({
        start: [
          {
            handle: 1,
            topic,
            partition,
            offset,
            currentLeaderEpoch: -1,
            maxBytes: 1_048_576,
            lastFetchedEpoch: -1,
          },
        ],
        stop: [],
        creditBytes: 1_048_576,
      });
    });
  }

  openFetch(
    onPartition: (partition: FetchedPartition) => void,
    onEnd: (error: Error) => void,
  ): ClientStream<FetchRequest> {
    return this.connection.openFetch({
      onMessage: (response) => {
        for (const partition of response.partitions) onPartition(partition);
      },
      onEnd,
    });
  }

  close(): void {
    this.connection.close();
  }
}

function withDeadline<Result>(
  start: (resolve: (result: Result) => void, reject: (error: unknown) => void) => void,
): Promise<Result> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no answer for ${ANSWER_MS} ms`)), ANSWER_MS);
    start(
      (result) => {
        clearTimeout(timer);
        resolve(result);
      },
      (error) => {
        clearTimeout(timer);
        reject(error);
      },
    );
  });
}
