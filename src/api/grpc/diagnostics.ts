/**
 * `grpc.health.v1` and server reflection. Their libraries parse schemas as they load, which would
 * delay every start of a broker: they are loaded once it is ready, or after a while if it does not
 * become ready. Until then health answers UNIMPLEMENTED, which probes take for "not ready".
 */
import { Buffer } from "node:buffer";
import type { Server } from "@grpc/grpc-js";
import type { BrokerApi } from "../../broker/broker-api.ts";
import { FILE_DESCRIPTOR } from "../../gen/ottla.descriptor.js";
import type { Timer } from "../../ports/clock.ts";
import type { Ports } from "../../ports/ports.ts";

/** How soon a change of the broker's health is told to those who watch it. */
const POLL_MS = 250;
const LOAD_AFTER_MS = 3_000;
/** "" is the server as a whole. */
const SERVICES = ["", "ottla.v1.Log", "ottla.v1.Admin", "ottla.v1.Groups"] as const;

export interface Diagnostics {
  stop(): void;
}

export function addDiagnostics(server: Server, broker: BrokerApi, ports: Ports): Diagnostics {
  const startedMs = ports.clock.monotonicMs();
  let loading = false;
  let update: (() => void) | undefined;
  const load = async (): Promise<void> => {
    const [health, reflection] = await Promise.all([
      import("grpc-health-check"),
      import("@grpc/reflection"),
    ]);
    const statuses = new health.HealthImplementation();
    let told: boolean | undefined;
    update = () => {
      const { ready } = broker.health();
      if (ready === told) return;
      told = ready;
      for (const name of SERVICES) statuses.setStatus(name, ready ? "SERVING" : "NOT_SERVING");
    };
    update();
    statuses.addToServer(server);
    type Package = ConstructorParameters<typeof reflection.ReflectionService>[0];
    const fileDescriptorProtos = [Buffer.from(FILE_DESCRIPTOR, "base64")];
    const schema = { "ottla.v1": { fileDescriptorProtos } } as unknown as Package;
    new reflection.ReflectionService(schema).addToServer(server);
  };
  const timer: Timer = ports.timers.every(POLL_MS, () => {
    update?.();
    const waitedMs = ports.clock.monotonicMs() - startedMs;
    if (loading || !(broker.health().ready || waitedMs > LOAD_AFTER_MS)) return;
    loading = true;
    load().catch((error: unknown) => {
      ports.logger.error("health and reflection cannot be served", { error });
    });
  });
  return { stop: () => timer.cancel() };
}
