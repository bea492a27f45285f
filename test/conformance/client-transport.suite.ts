/** The SDK's way to one broker: calls, streams, their ends, and what an error is told as. */
import { describe, expect, test } from "vitest";
import type { DoorApi, FetchSink, ProduceOne } from "../../src/broker/broker-api.ts";
import type { BrokerAddress } from "../../src/client/core/metadata-cache.ts";
import type { ProduceRequest, ProduceResponse } from "../../src/client/messages.ts";
import type { Transport } from "../../src/client/transport.ts";
import { OttlaError } from "../../src/model/errors.ts";
import { fakeBroker } from "../unit/api/door-fixture.ts";

export interface ClientTransportSubject {
  readonly transport: Transport;
  /** Of the door before the broker that was given. */
  readonly address: BrokerAddress;
  /** Where nobody listens. */
  readonly nobody: BrokerAddress;
  /** Settles once `condition` holds; rejects if it never does. */
  until(condition: () => boolean): Promise<void>;
  closeDoor(): Promise<void>;
  dispose(): Promise<void>;
}

const METADATA = { topics: [], noTopics: true, allowAutoTopicCreation: false };
const PATIENT = { timeoutMs: 20_000 };

function never<Value>(): Promise<Value> {
  return new Promise(() => undefined);
}

function request(correlationId: number, batch: Uint8Array): ProduceRequest {
  return {
    correlationId,
    acks: -1,
    timeoutMs: 1_000,
    partitions: [{ topic: "orders", partition: 0, batch }],
  };
}

function codeOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => "settled",
    (thrown: unknown) => (thrown instanceof OttlaError ? thrown.code : thrown),
  );
}

export function clientTransportSuite(
  name: string,
  make: (broker: DoorApi) => Promise<ClientTransportSubject>,
): void {
  describe(`${name} as the client's Transport`, () => {
    test("a call brings the answer with every field", async () => {
      const subject = await make(fakeBroker());
      const connection = subject.transport.connect(subject.address);
      const answer = await connection.call("Metadata", METADATA, PATIENT);
      expect(answer.clusterId).toBe("cluster");
      expect(answer.topics).toEqual([]);
      expect(answer.brokers.map(({ host, id }) => [id, host])).toEqual([[1, "host-1"]]);
      await subject.dispose();
    });

    test("a refusal keeps its code and the field at fault", async () => {
      const controller = (): Promise<never> =>
        Promise.reject(
          new OttlaError("INVALID_CONFIG", "no such key", { field: "topics.configs" }),
        );
      const subject = await make(fakeBroker({ controller }));
      const connection = subject.transport.connect(subject.address);
      const call = connection.call("DeleteTopics", { topics: ["orders"] }, PATIENT);
      await expect(call).rejects.toMatchObject({
        code: "INVALID_CONFIG",
        field: "topics.configs",
        message: "no such key",
      });
      await subject.dispose();
    });

    test("a call that is not answered ends at its time, or by its signal", async () => {
      const subject = await make(fakeBroker({ controller: () => never() }));
      const connection = subject.transport.connect(subject.address);
      const delete_ = { topics: ["orders"] };
      const late = connection.call("DeleteTopics", delete_, { timeoutMs: 50 });
      expect(await codeOf(late)).toBe("REQUEST_TIMED_OUT");
      const given = new AbortController();
      const aborted = codeOf(
        connection.call("DeleteTopics", delete_, { ...PATIENT, signal: given.signal }),
      );
      given.abort();
      expect(await aborted).toBe("ABORTED");
      const before = connection.call("DeleteTopics", delete_, { ...PATIENT, signal: given.signal });
      expect(await codeOf(before)).toBe("ABORTED");
      await subject.dispose();
    });

    test("where nobody listens every way ends as unreachable", async () => {
      const subject = await make(fakeBroker());
      const connection = subject.transport.connect(subject.nobody);
      expect(await codeOf(connection.call("Metadata", METADATA, PATIENT))).toBe(
        "NETWORK_EXCEPTION",
      );
      expect(await codeOf(connection.ready(300))).toBe("NETWORK_EXCEPTION");
      const ends: OttlaError[] = [];
      const onEnd = (error: OttlaError): number => ends.push(error);
      connection.openProduce({ onMessage: () => undefined, onEnd });
      connection.openFetch({ onMessage: () => undefined, onEnd });
      await subject.until(() => ends.length === 2);
      expect(ends.map(({ code }) => code)).toEqual(["NETWORK_EXCEPTION", "NETWORK_EXCEPTION"]);
      await subject.dispose();
    });

    test("is ready once the broker is there", async () => {
      const subject = await make(fakeBroker());
      await subject.transport.connect(subject.address).ready(20_000);
      await subject.dispose();
    });

    test("requests keep their order and their bytes, answers come to whom they belong", async () => {
      const asked: ProduceOne[] = [];
      const produce: DoorApi["produce"] = async (one) => {
        asked.push(one);
        const baseOffset = 10 * asked.length;
        return {
          error: undefined,
          baseOffset,
          logAppendTimeMs: -1,
          logStartOffset: 0,
          leader: undefined,
        };
      };
      const subject = await make(fakeBroker({ produce }));
      const answers: ProduceResponse[] = [];
      const stream = subject.transport.connect(subject.address).openProduce({
        onMessage: (response) => answers.push(response),
        onEnd: () => undefined,
      });
      const buffer = new Uint8Array(100);
      for (let number = 1; number <= 50; number++) {
        buffer.fill(number);
        stream.send(request(number, buffer));
      }
      // Sent means copied: the buffer is the caller's again.
      buffer.fill(0);
      await subject.until(() => answers.length === 50);
      expect(asked.map(({ batch }) => batch[99])).toEqual(
        Array.from({ length: 50 }, (_, index) => index + 1),
      );
      const places = answers.map(({ correlationId, partitions }) => [
        correlationId,
        partitions[0]?.baseOffset,
        partitions[0]?.error,
      ]);
      expect(places[0]).toEqual([1, 10, null]);
      expect(places[49]).toEqual([50, 500, null]);
      stream.close();
      await subject.dispose();
    });

    test("a fetch is closed at the broker when the client closes it, and tells the client no end", async () => {
      let sink: FetchSink | undefined;
      const told: string[] = [];
      const openFetch: DoorApi["openFetch"] = (given) => {
        sink = given;
        return {
          start: ({ topic, offset }) => told.push(`start ${topic} ${offset}`),
          stop: (handle) => told.push(`stop ${handle}`),
          credit: (bytes) => told.push(`credit ${bytes}`),
          close: () => told.push("close"),
        };
      };
      const subject = await make(fakeBroker({ openFetch }));
      const marks: number[] = [];
      const ends: OttlaError[] = [];
      const stream = subject.transport.connect(subject.address).openFetch({
        onMessage: ({ partitions }) => {
          for (const { highWatermark } of partitions) marks.push(highWatermark);
        },
        onEnd: (error) => ends.push(error),
      });
      const partition = {
        topic: "orders",
        partition: 0,
        currentLeaderEpoch: -1,
        maxBytes: 1_000,
        lastFetchedEpoch: -1,
      };
      stream.send({ start: [{ ...partition, handle: 3, offset: 7 }], stop: [2], creditBytes: 500 });
      await subject.until(() => told.length === 3);
      expect(told).toEqual(["stop 2", "start orders 7", "credit 500"]);
      const fetched = {
        handle: 3,
        error: undefined,
        highWatermark: 12,
        lastStableOffset: 12,
        logStartOffset: 0,
        batches: [],
        leader: undefined,
      };
      sink?.([fetched]);
      await subject.until(() => marks.length === 1);
      expect(marks).toEqual([12]);
      stream.close();
      await subject.until(() => told.at(-1) === "close");
      expect(ends).toEqual([]);
      await subject.dispose();
    });

    test("a door that closes ends its streams with the reason, after what was sent before", async () => {
      const produce: DoorApi["produce"] = async () => ({
        error: undefined,
        baseOffset: 5,
        logAppendTimeMs: -1,
        logStartOffset: 0,
        leader: undefined,
      });
      const subject = await make(fakeBroker({ produce }));
      const told: (string | number)[] = [];
      const stream = subject.transport.connect(subject.address).openProduce({
        onMessage: ({ correlationId }) => told.push(correlationId),
        onEnd: ({ code }) => told.push(code),
      });
      stream.send(request(1, new Uint8Array(10)));
      await subject.until(() => told.length === 1);
      const closed = subject.closeDoor();
      await subject.until(() => told.length === 2);
      expect(told).toEqual([1, "SHUTTING_DOWN"]);
      // What is sent after the end goes nowhere.
      stream.send(request(2, new Uint8Array(10)));
      await closed;
      await subject.dispose();
    });

    test("a stream that the broker cannot serve ends with the reason", async () => {
      const openFetch = (): never => {
        throw new OttlaError("SHUTTING_DOWN", "not any more");
      };
      const subject = await make(fakeBroker({ openFetch }));
      const ends: OttlaError[] = [];
      subject.transport.connect(subject.address).openFetch({
        onMessage: () => undefined,
        onEnd: (error) => ends.push(error),
      });
      await subject.until(() => ends.length === 1);
      expect(ends[0]?.code).toBe("SHUTTING_DOWN");
      await subject.dispose();
    });
  });
}
