/** From generated Protocol Buffers code to what grpc-js wants of a method's messages. */
import { Buffer } from "node:buffer";
import $protobuf from "protobufjs/minimal.js";

/** A generated message class, as far as it is used. */
export interface MessageType<Message> {
  encode(message: Message): { finish(): Uint8Array };
  decode(reader: $protobuf.Reader): Message;
}

/** As grpc-js wants it, without a copy. */
function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
}

export function encodeMessage<Message>(type: MessageType<Message>, message: Message): Buffer {
  return asBuffer(type.encode(message).finish());
}

/**
 * Fields of bytes are views of `bytes`, and plain `Uint8Array`s: the `slice` of a `Buffer` shares
 * its bytes where everybody expects a copy.
 */
export function decodeMessage<Message>(type: MessageType<Message>, bytes: Buffer): Message {
  const reader = new $protobuf.Reader(
    new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength),
  );
  reader.discardUnknown = true;
  return type.decode(reader);
}
