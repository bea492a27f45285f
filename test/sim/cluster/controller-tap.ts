/** Pairs what brokers ask controllers with what they are answered, as the answers leave. */
import type { ControllerDown, ControllerUp } from "../../../src/metadata/session-messages.ts";
import type { SentMessage } from "../world/sim-network.ts";
import type { ControllerReply, ControllerRequest, RunContext, Where } from "./run-context.ts";

export interface ControllerHeard {
  onControllerRequest(request: ControllerRequest): void;
  onControllerReply(reply: ControllerReply): void;
}

export class ControllerTap {
  readonly #context: RunContext;
  readonly #heard: ControllerHeard;
  readonly #requests = new WeakMap<object, Map<number, ControllerRequest>>();

  constructor(context: RunContext, heard: ControllerHeard) {
    this.#context = context;
    this.#heard = heard;
  }

  onSent({ from, to, channel, message, stream }: SentMessage): void {
    if (channel !== "controller") return;
    const sent = message as ControllerUp | ControllerDown;
    const where: Where = { node: from.node.name, life: from.life };
    if (sent.type === "request") {
      const { id, name, body } = sent;
      const request = { from: where, to, name, body, image: this.#context.newestImage() };
      let requests = this.#requests.get(stream);
      if (requests === undefined) {
        requests = new Map();
        this.#requests.set(stream, requests);
      }
      requests.set(id, request);
      this.#heard.onControllerRequest(request);
    } else if (sent.type === "reply") {
      const request = this.#requests.get(stream)?.get(sent.id);
      if (request === undefined) return;
      const { body, error } = sent;
      this.#requests.get(stream)?.delete(sent.id);
      this.#heard.onControllerReply({ request, from: where, body, error });
    }
  }
}
