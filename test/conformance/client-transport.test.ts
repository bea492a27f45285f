import { createNodePorts } from "../../src/adapters/node-ports.ts";
import { systemClock } from "../../src/adapters/system-clock.ts";
import { startGrpcServer } from "../../src/api/grpc/server.ts";
import { GrpcTransport } from "../../src/client/grpc-transport.ts";
import { openSimDoor } from "../sim/clients/sim-door.ts";
import { SimTransport } from "../sim/clients/sim-transport.ts";
import { eventually } from "../support/eventually.ts";
import { createMemoryPorts } from "../support/memory-ports.ts";
import { clientTransportSuite } from "./client-transport.suite.ts";

// The transport that ships and its twin on the simulated network, before the same doors.

const CONFIG = { requestTimeoutMs: 30_000, fetchMaxBytes: 1_000_000 };
const UNTIL_MS = 20_000;

clientTransportSuite("gRPC", async (broker) => {
  const ports = createNodePorts({
    brokerId: 1,
    log: { level: "error", destination: { write: () => true } },
  });
  const listener = { name: "GRPC", host: "127.0.0.1", port: 0 };
  const server = await startGrpcServer({ broker, ports, listener, config: CONFIG });
  let closing: Promise<void> | undefined;
  const closeDoor = (): Promise<void> => {
    closing ??= server.close();
    return closing;
  };
  return {
    transport: new GrpcTransport(systemClock),
    address: { host: "127.0.0.1", port: server.port },
    nobody: { host: "127.0.0.1", port: 1 },
    until: (condition) => eventually("the client's condition", condition),
    closeDoor,
    dispose: closeDoor,
  };
});

clientTransportSuite("the simulator", async (broker) => {
  const machine = createMemoryPorts({ name: "broker-1" });
  const { world, network } = machine;
  const client = createMemoryPorts({ name: "client", world, network });
  const address = { host: "broker-1", port: 9_192 };
  const listeners = [{ name: "GRPC", protocol: "GRPC", ...address }] as const;
  const door = await openSimDoor({
    broker,
    ports: machine.ports,
    config: { ...CONFIG, listeners },
  });
  return {
    transport: new SimTransport({ network: client.ports.network, timers: client.ports.timers }),
    address,
    nobody: { host: "broker-1", port: 9_193 },
    until: async (condition) => {
      const endMs = world.nowMs + UNTIL_MS;
      while (!condition()) {
        if (world.nowMs > endMs) throw new Error("the condition never held");
        await client.ports.timers.sleep(1);
      }
    },
    closeDoor: () => door.close(),
    dispose: async () => machine.dispose(),
  };
});
