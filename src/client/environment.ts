/** What a client has of the world; a simulation passes its own. */
import { nativeCodecs } from "../adapters/native-codecs.ts";
import { systemClock } from "../adapters/system-clock.ts";
import { systemRandom } from "../adapters/system-random.ts";
import { systemTimers } from "../adapters/system-timers.ts";
import type { Clock, Timers } from "../ports/clock.ts";
import type { Codecs } from "../ports/codecs.ts";
import type { Random } from "../ports/random.ts";
import { GrpcTransport } from "./grpc-transport.ts";
import type { Transport } from "./transport.ts";

export interface ClientEnvironment {
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly codecs: Codecs;
  readonly transport: Transport;
}

/** The real world; whatever `overrides` names comes from there. */
export function clientEnvironment(overrides: Partial<ClientEnvironment> = {}): ClientEnvironment {
  const clock = overrides.clock ?? systemClock;
  return {
    clock,
    timers: overrides.timers ?? systemTimers,
    random: overrides.random ?? systemRandom,
    codecs: overrides.codecs ?? nativeCodecs,
    transport: overrides.transport ?? new GrpcTransport(clock),
  };
}
