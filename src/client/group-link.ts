/** One coordinator's Session stream: calls of a group up, answers down. */
import type { OttlaError } from "../model/errors.ts";
import type { SendCallsEffect } from "./core/session-calls.ts";
import type { GroupAnswer, GroupCalls } from "./group-messages.ts";
import type { ClientStream, Connection } from "./transport.ts";

export interface GroupLinkEvents {
  onAnswers(answers: readonly GroupAnswer[]): void;
  onEnd(error: OttlaError): void;
}

export class GroupLink {
  readonly #stream: ClientStream<GroupCalls>;

  constructor(connection: Connection, events: GroupLinkEvents) {
    this.#stream = connection.openSession({
      onMessage: ({ answers }) => events.onAnswers(answers),
      onEnd: (error) => events.onEnd(error),
    });
  }

  send({ calls }: SendCallsEffect): void {
    this.#stream.send({ calls });
  }

  close(): void {
    this.#stream.close();
  }
}
