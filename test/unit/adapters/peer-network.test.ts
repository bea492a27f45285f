import { peerNetworkSuite } from "../../conformance/peer-network.suite.ts";
import { GrpcPeerNetwork } from "../../../src/adapters/grpc-peer-network.ts";
import { PinoLogger } from "../../../src/adapters/pino-logger.ts";
const logger = PinoLogger.create({ level: "error" });
peerNetworkSuite("gRPC", async () => {
  const left = new GrpcPeerNetwork(logger);
  const right = new GrpcPeerNetwork(logger);
  return {
    left,
    right,
    address: { host: "127.0.0.1", port: 0 },
    until: async (condition) => {
      while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5));
    },
    dispose: async () => { left.close(); right.close(); },
  };
});
