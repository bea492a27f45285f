/** What comes in, decoded; garbage is a value too, so that whoever serves it can answer. */
import { decodeMessage, type MessageType } from "../../grpc/messages.ts";

/** A message that does not follow the schema. */
export const MALFORMED = Symbol("malformed");

export function decoder<Message>(
  type: MessageType<Message>,
): (bytes: Buffer) => Message | typeof MALFORMED {
  return (bytes) => {
    try {
      return decodeMessage(type, bytes);
    } catch {
      return MALFORMED;
    }
  };
}
