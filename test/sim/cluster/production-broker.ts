/** The broker as it is shipped, on simulated ports. */
import { Broker } from "../../../src/broker/broker.ts";
import type { StartBroker } from "./cluster.ts";

export const startProductionBroker: StartBroker = async (ports, config) => {
  const api = await Broker.start(ports, config);
  return { api, quorum: () => api.quorumStatus(), stop: () => api.shutdown() };
};
