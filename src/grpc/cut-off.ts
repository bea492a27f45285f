/**
 * Ends a stream at once, whatever is queued for its client (RST_STREAM). All that grpc-js itself
 * offers a server waits until the client has taken what is before the end, and one that reads
 * nothing never does; hence the reach for the HTTP/2 stream below the call.
 */
import type { ServerDuplexStream } from "@grpc/grpc-js";

/** ENHANCE_YOUR_CALM of RFC 9113: the peer may cause excessive load. */
const ENHANCE_YOUR_CALM = 11;

interface Below {
  readonly call: { readonly stream: { close(code: number): void } };
}

export function cutOff<Request, Response>(call: ServerDuplexStream<Request, Response>): void {
  (call as unknown as Below).call.stream.close(ENHANCE_YOUR_CALM);
  call.destroy();
}
