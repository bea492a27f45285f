/** Messages as bytes, and a call's status as an error: what any transport of this protocol shares. */
import { type ServiceError, status } from "@grpc/grpc-js";
import { ottla } from "../gen/ottla.js";
import { isErrorCode, OttlaError } from "../model/errors.ts";

/**
 * Encode and decode of one generated message class, reduced to what is used here. In a decoded
 * message every field can be read: absent ones come from the class's prototype, lists empty and
 * messages null, as `messages.ts` says.
 */
export interface Codec {
  encode(message: object): { finish(): Uint8Array };
  decode(bytes: Uint8Array): object;
}

/** Of `ottla.v1`, by the names of the messages. */
export function codecs(
  request: string,
  response: string,
): { readonly request: Codec; readonly response: Codec } {
  const types = ottla.v1 as unknown as Readonly<Record<string, Codec>>;
  return { request: types[request] as Codec, response: types[response] as Codec };
}

export function serializer(codec: Codec): (message: object) => Buffer {
  return (message) => {
    const bytes = codec.encode(message).finish();
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  };
}

export function deserializer<Message>(codec: Codec): (bytes: Uint8Array) => Message {
  // A plain Uint8Array: the `slice` of a Buffer shares memory where everybody expects a copy.
  return ({ buffer, byteLength, byteOffset }) =>
    codec.decode(new Uint8Array(buffer, byteOffset, byteLength)) as Message;
}

/** The broker's error if it names one; else what the status says. `what` was tried. */
export function statusError(error: ServiceError, what: string): OttlaError {
  const [named] = error.metadata?.get("ottla-error-code") ?? [];
  if (typeof named === "string" && isErrorCode(named)) {
    const [field] = error.metadata.get("ottla-error-field");
    return new OttlaError(named, error.details, {
      cause: error,
      ...(typeof field === "string" && field !== "" ? { field } : {}),
    });
  }
  const message = `${what}: ${error.details}`;
  switch (error.code) {
    case status.DEADLINE_EXCEEDED:
      return new OttlaError("REQUEST_TIMED_OUT", message, { cause: error });
    case status.INVALID_ARGUMENT:
      return new OttlaError("INVALID_REQUEST", message, { cause: error });
    case status.RESOURCE_EXHAUSTED:
      return new OttlaError("LIMIT_EXCEEDED", message, { cause: error });
    default:
      return new OttlaError("NETWORK_EXCEPTION", message, { cause: error });
  }
}
