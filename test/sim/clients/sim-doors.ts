/** All doors of a simulated broker: gRPC's always, Kafka's where a listener speaks its protocol. */
import { KafkaDoor } from "../../../src/api/kafka/door.ts";
import { SimByteStreams } from "./sim-byte-streams.ts";
import { openSimDoor, type SimDoor, type SimDoorOptions } from "./sim-door.ts";

export async function openSimDoors(
  options: SimDoorOptions & {
    readonly config: { readonly properties: ReadonlyMap<string, string> };
  },
): Promise<SimDoor> {
  const { broker, ports, config } = options;
  const grpc = await openSimDoor(options);
  const listener = config.listeners.find(({ protocol }) => protocol === "PLAINTEXT");
  if (listener === undefined) return grpc;
  const streams = new SimByteStreams(ports.network);
  const kafka = await new KafkaDoor({ broker, ports, streams, config }).listen(listener);
  return {
    close: async () => {
      await grpc.close();
      await kafka.close();
    },
  };
}
