/** One broker's Fetch stream: what to read and credit up, batches down. */
import { isErrorCode, type OttlaError } from "../model/errors.ts";
import type { FetchedData, FetchRequestEffect } from "./core/fetch-core.ts";
import type { FetchedPartition, FetchRequest } from "./messages.ts";
import type { ClientStream, Connection } from "./transport.ts";

export interface FetchLinkEvents {
  onFetched(fetched: readonly FetchedData[]): void;
  /** A refusal that names the leader; comes before its `onFetched`. */
  onHint(handle: number, leader: NonNullable<FetchedPartition["leader"]>): void;
  onEnd(error: OttlaError): void;
}

export class FetchLink {
  readonly #stream: ClientStream<FetchRequest>;

  constructor(connection: Connection, events: FetchLinkEvents) {
    this.#stream = connection.openFetch({
      onMessage: ({ partitions }) => {
        for (const { handle, leader } of partitions) {
          if (leader !== null) events.onHint(handle, leader);
        }
        events.onFetched(partitions.map(fetchedData));
      },
      onEnd: (error) => events.onEnd(error),
    });
  }

  send(request: FetchRequestEffect, maxBytes: number): void {
    const { creditBytes, start, stop } = request;
    this.#stream.send({
      start: start.map(({ handle, lastFetchedEpoch, leaderEpoch, offset, partition, topic }) => ({
        handle,
        topic,
        partition,
        offset,
        currentLeaderEpoch: leaderEpoch,
        maxBytes,
        lastFetchedEpoch,
      })),
      stop,
      creditBytes,
    });
  }

  close(): void {
    this.#stream.close();
  }
}

function fetchedData(fetched: FetchedPartition): FetchedData {
  const { batches, error, handle, highWatermark, logStartOffset } = fetched;
  if (error === null) return { handle, error: undefined, highWatermark, logStartOffset, batches };
  const code = isErrorCode(error.code) ? error.code : "UNKNOWN_SERVER_ERROR";
  const failure = { code, message: error.message };
  const divergedAt = fetched.divergedAt ?? undefined;
  return { handle, error: failure, highWatermark, logStartOffset, batches, divergedAt };
}
