/** One call of the Admin service, whatever carried it here. */
import type { BrokerApi } from "../../broker/broker-api.ts";
import type { BrokerConfig } from "../../model/broker-config.ts";
import { OttlaError, toOttlaError } from "../../model/errors.ts";
import type { Ports } from "../../ports/ports.ts";
import type { AdminMethod } from "./admin.ts";
import { MALFORMED } from "./decoder.ts";

export interface UnaryDoor<Broker = BrokerApi> {
  readonly broker: Broker;
  readonly listenerName: string;
  readonly ports: Pick<Ports, "clock" | "meter">;
  readonly config: Pick<BrokerConfig, "requestTimeoutMs">;
}

export interface UnaryRequest<Broker = BrokerApi> {
  readonly name: string;
  readonly method: AdminMethod<object, object, Broker>;
  readonly request: object | typeof MALFORMED;
  /** Of the client's deadline; Infinity without one. */
  readonly leftMs: number;
}

/** The response message; rejects with what the call's status shall be made of. */
export async function answerUnary<Broker>(
  door: UnaryDoor<Broker>,
  call: UnaryRequest<Broker>,
): Promise<object> {
  const { broker, config, listenerName, ports } = door;
  const { leftMs, method, name, request } = call;
  const startedMs = ports.clock.monotonicMs();
  try {
    if (request === MALFORMED) {
      throw new OttlaError("INVALID_REQUEST", "the message does not follow ottla.proto");
    }
    const timeoutMs = Math.min(config.requestTimeoutMs, Math.max(1, leftMs));
    return await method.handle(request, { broker, listenerName, timeoutMs });
  } catch (thrown) {
    const error = toOttlaError(thrown).code;
    ports.meter.count("kafka_network_requestmetrics_errors_total", { request: name, error }, 1);
    throw thrown;
  } finally {
    const seconds = (ports.clock.monotonicMs() - startedMs) / 1_000;
    ports.meter.observe("ottla_request_duration_seconds", { request: name }, seconds);
  }
}
