/** Asks a handler of Kafka's door, through the codec both ways: what a version cannot say is lost. */
import type { Handlers, RequestContext } from "../../../src/api/kafka/handler.ts";
import { concatBytes } from "../../../src/base/bytes.ts";
import type { ApiName } from "../../../src/kafka-wire/api-keys.ts";
import {
  decodeRequest,
  decodeRequestHeader,
  decodeResponse,
  encodeRequest,
  encodeResponse,
  type RequestInputs,
  type Responses,
} from "../../../src/kafka-wire/messages.ts";

export async function ask<Name extends ApiName>(
  handlers: Handlers,
  context: Omit<RequestContext, "version">,
  api: Name,
  version: number,
  body: RequestInputs[Name],
): Promise<Responses[Name]> {
  const { clientId } = context;
  const sent = encodeRequest({ api, version, correlationId: 1, clientId, body });
  const frame = concatBytes(sent).subarray(4);
  const header = decodeRequestHeader(frame);
  if (!header.ok) throw new Error(header.reason);
  const request = decodeRequest(api, version, frame, header.value.bodyAt);
  if (!request.ok) throw new Error(request.reason);
  const handler = handlers[api];
  if (handler === undefined) throw new Error(`${api} has no handler`);
  const answer = await handler(request.value, { ...context, version });
  // What the broker keeps must not be a view of the request.
  frame.fill(0xee);
  const told = encodeResponse({ api, version, correlationId: 1, body: answer });
  const response = decodeResponse(api, version, concatBytes(told).subarray(4));
  if (!response.ok) throw new Error(response.reason);
  return response.value.body;
}
