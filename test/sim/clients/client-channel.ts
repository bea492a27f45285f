/**
 * What flows between a client's process and a broker's door on the simulated network: one stream of
 * it stands for one gRPC call. Message bodies are the real Protocol Buffers bytes, so nobody shares
 * memory and both sides run the decoders that ship.
 */
import type {
  PeerAddress,
  PeerListener,
  PeerNetwork,
  PeerStream,
} from "../../../src/ports/peer-network.ts";

/** From the client. The first message of a stream says what is called. */
export type ClientUp =
  | { readonly type: "open"; readonly method: "Produce" | "Fetch" | "Session" | "Ping" }
  | {
      readonly type: "unary";
      readonly method: string;
      readonly timeoutMs: number;
      readonly bytes: Uint8Array;
    }
  | { readonly type: "data"; readonly bytes: Uint8Array };

export type ClientDown =
  | { readonly type: "data"; readonly bytes: Uint8Array }
  | {
      /** The end of a call, as trailers carry it. 0 is OK. */
      readonly type: "status";
      /** The response of a unary call that succeeded. */
      readonly bytes?: Uint8Array;
      readonly code: number;
      readonly details: string;
      readonly metadata: Readonly<Record<string, string>>;
    };

export type ClientEnd = PeerStream<ClientUp, ClientDown>;
export type DoorEnd = PeerStream<ClientDown, ClientUp>;

const CHANNEL = "client";

interface ClientNetwork {
  open(to: PeerAddress, channel: typeof CHANNEL): ClientEnd;
  listen(
    address: PeerAddress,
    handlers: { readonly [CHANNEL]: (end: DoorEnd) => void },
  ): Promise<PeerListener>;
}

/** The simulated network carries any channel by its name; its port's type knows the brokers' only. */
function clientNetwork(network: PeerNetwork): ClientNetwork {
  return network as unknown as ClientNetwork;
}

export function openClientStream(network: PeerNetwork, to: PeerAddress): ClientEnd {
  return clientNetwork(network).open(to, CHANNEL);
}

export function listenForClients(
  network: PeerNetwork,
  address: PeerAddress,
  accept: (end: DoorEnd) => void,
): Promise<PeerListener> {
  return clientNetwork(network).listen(address, { [CHANNEL]: accept });
}
